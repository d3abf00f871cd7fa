"""The benchmarks in, `README.md` of this folder with their fresh figures out.

    python benchmarks/report.py [NAME ...] [--quick] [--work DIR] [--model DIR] [--old CHECKOUT]

Runs those named, or all: everyday, service, stack, indexing, int8, searching, scale, exchange,
growth, gpu, cutoff, facts, page and searchers. What each prints goes between `<!-- NAME -->` and
`<!-- /NAME -->`; one that fails leaves its section be.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
README = HERE / "README.md"
# Options of each, and those for a quick look.
NAMES = {
    "everyday": (["--runs", "5"], ["--files", "200", "--runs", "1"]),
    "service": (
        ["--rounds", "5", "--pictures", "64", "--soak", "60"],
        ["--rounds", "1", "--pictures", "32"],
    ),
    "stack": (["--rounds", "5"], ["--rounds", "1"]),
    "indexing": ([], ["--quick"]),
    "int8": ([], ["--quick"]),
    "searching": ([], ["--quick"]),
    "scale": ([], ["--quick"]),
    "exchange": ([], ["--quick"]),
    "growth": ([], ["--quick"]),
    "gpu": ([], ["--quick"]),
    "cutoff": ([], ["--quick"]),
    "facts": ([], ["--quick"]),
    "page": ([], ["--quick"]),
    "searchers": ([], ["--quick"]),
}
_WITH_MODEL = set(NAMES) - {"everyday", "stack", "cutoff", "facts"}
_WITH_WORK = (_WITH_MODEL | {"facts"}) - {"service"}


def replaced(text: str, name: str, section: str) -> str:
    """`text` with `section` between the marks of `name`.

    Raises:
        ValueError: there are no such marks.
    """
    marks = re.compile(f"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not marks.search(text):
        raise ValueError(f"{README.name} has no <!-- {name} --> and <!-- /{name} -->")
    return marks.sub(lambda found: f"{found[1]}\n{section.strip()}\n\n{found[2]}", text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="all by default")
    parser.add_argument("--quick", action="store_true", help="little of everything, once")
    parser.add_argument("--work", help="where pictures, models and peers are kept")
    parser.add_argument("--model", help="a folder; a random ViT-B/32 by default")
    parser.add_argument("--old", help="for scale: a checkout of clipstack on Milvus Lite")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(NAMES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; {', '.join(NAMES)} are")
    failed = 0
    for name in asked.names or NAMES:
        options = list(NAMES[name][asked.quick])
        options += ["--model", asked.model] if asked.model and name in _WITH_MODEL else []
        options += ["--work", asked.work] if asked.work and name in _WITH_WORK else []
        options += ["--old", asked.old] if asked.old and name == "scale" else []
        line = [sys.executable, str(HERE / f"{name}.py"), *options]
        print(f"== {name}", file=sys.stderr, flush=True)
        done = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            failed += 1
            print(f"{name} failed; its section stays as it is", file=sys.stderr)
            continue
        README.write_text(replaced(README.read_text("utf-8"), name, done.stdout), "utf-8")
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
