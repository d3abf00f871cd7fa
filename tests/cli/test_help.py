"""Help of every command: complete, and light."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import typer.main

from clipstack.cli.app import tree

HEAVY = {
    *("torch", "transformers", "pymilvus", "bentoml", "docker", "numpy", "PIL", "openvino"),
    "pyarrow",
}


def _lines() -> list[list[str]]:
    lines: list[list[str]] = [[]]
    for name, command in typer.main.get_command(tree()).commands.items():  # type: ignore[attr-defined]
        lines += [[name], *([name, sub] for sub in getattr(command, "commands", {}))]
    return lines


@pytest.mark.parametrize("line", _lines(), ids=" ".join)
def test_help_imports_nothing_heavy(line: list[str]) -> None:
    program = (
        "import json, sys\n"
        "from clipstack.cli.app import run\n"
        f"code = run({[*line, '--help']!r})\n"
        "print(json.dumps([int(code), sorted({m.split('.')[0] for m in sys.modules})]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    *shown, last = done.stdout.splitlines()
    code, modules = json.loads(last)
    assert code == 0
    assert "Usage: clipstack" in "\n".join(shown)
    assert not HEAVY & set(modules)


def test_every_option_says_what_it_does(cli) -> None:
    for line in _lines():
        command = typer.main.get_command(tree())
        for part in line:
            command = command.commands[part]  # type: ignore[attr-defined]
        assert command.help, line
        assert all(getattr(param, "help", None) for param in command.params), line


def test_no_arguments_shows_the_help(cli) -> None:
    ran = cli()
    assert ran.code == 0
    assert "collections" in ran.out


def test_version(cli) -> None:
    from clipstack import __version__

    assert cli("--version").out == f"clipstack {__version__}\n"
