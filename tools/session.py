"""Draw docs/session.svg, the terminal in the README, by running a real session in tmux.

python tools/session.py        (needs tmux)
"""

from __future__ import annotations

import os
import random
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from clipstack.demo import generate

FILE = Path(__file__).parent.parent / "docs" / "session.svg"
WIDTH, HEIGHT = 92, 40
COMMANDS = [
    "clipstack import pictures --model shapes",
    "clipstack search two red stars -k 3",
    "clipstack search --image {example} -k 3",
    "clipstack search yellow ring -k 1 -q | xargs file -b",
]


def tmux(*args: str) -> str:
    """Run a tmux command on a separate server."""
    command = ["tmux", "-L", "clipstack-session", *args]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def run(command: str) -> None:
    """Type a command and wait until the prompt is back."""
    tmux("send-keys", command, "Enter")
    time.sleep(1)
    while not tmux("capture-pane", "-p").rstrip().endswith("$"):
        time.sleep(0.2)


def main() -> None:
    random.seed(0)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        example = sorted(generate(home / "pictures").files)[40].relative_to(home)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        shell = f"env HOME={home} PATH={shlex.quote(path)} PS1='$ ' TERM=xterm-256color bash --norc"
        size = ("-x", str(WIDTH), "-y", str(HEIGHT))
        tmux("new-session", "-d", *size, "-c", str(home), shell)
        try:
            time.sleep(1)
            for command in COMMANDS:
                run(command.format(example=example))
            screen = tmux("capture-pane", "-e", "-p").rstrip().removesuffix("$").rstrip()
        finally:
            tmux("kill-server")
    console = Console(width=WIDTH, record=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    console.print(Text.from_ansi(screen))
    console.save_svg(str(FILE), title="clipstack")
    sys.stdout.write(f"{FILE}\n")


if __name__ == "__main__":
    main()
