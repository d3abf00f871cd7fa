"""How results and messages are written: for people, for pipes, as JSON, or ids only.

Data goes to stdout, everything else to stderr. rich is imported when something is drawn with it.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from clipstack.errors import ClipstackError, ExitCode
from clipstack.events import Events

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


class Mode(Enum):
    """Who reads stdout."""

    HUMAN = "human"
    PLAIN = "plain"
    JSON = "json"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True)
class View:
    """A result in the four forms it can be shown in.

    Attributes:
        json: the document that `--json` writes.
        lines: lines for a pipe, not truncated; columns are separated by tabs.
        quiet: ids or paths only.
        human: makes what rich draws on a terminal; None writes `lines` there too.
    """

    json: Any
    lines: Iterable[str] = ()
    quiet: Iterable[str] = ()
    human: Callable[[], RenderableType] | None = field(default=None)


class Out(Events):
    """Writes views to stdout; notes, warnings and errors to stderr.

    Args:
        mode: HUMAN becomes PLAIN when stdout is not a terminal.
        color: False for none; None leaves it to the terminal and NO_COLOR.
        ask: False never asks for confirmation.
        yes: confirm without asking.
    """

    def __init__(
        self,
        mode: Mode = Mode.HUMAN,
        *,
        color: bool | None = None,
        verbose: bool = False,
        ask: bool = True,
        yes: bool = False,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
    ) -> None:
        self.stdout = stdout or sys.stdout
        self.stderr = stderr or sys.stderr
        if mode is Mode.HUMAN and not self.stdout.isatty():
            mode = Mode.PLAIN
        self.mode = mode
        self.verbose = verbose
        self._color = color
        self._ask = ask
        self._yes = yes
        self._consoles: dict[int, Console] = {}

    def console(self, stream: TextIO | None = None) -> Console:
        """A rich console on `stream`, by default stderr."""
        from rich.console import Console

        stream = stream or self.stderr
        if id(stream) not in self._consoles:
            self._consoles[id(stream)] = Console(
                file=stream,
                markup=False,
                highlight=False,
                emoji=False,
                no_color=True if self._color is False else None,
            )
        return self._consoles[id(stream)]

    @property
    def animated(self) -> bool:
        """Whether stderr can show a moving progress bar."""
        return self.mode is not Mode.QUIET and self.stderr.isatty()

    def show(self, view: View, *, null: bool = False) -> None:
        """Write a result to stdout in the current mode; `null` ends quiet items with NUL."""
        self.write_flushed(lambda: self._show(view, null))

    def write_flushed(self, write: Callable[[], object]) -> bool:
        """Call `write`, which writes to stdout, and flush.

        Returns:
            False when the reader has closed the pipe, as `| head` does; that is no failure.
        """
        try:
            write()
            self.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stdout.fileno())
            return False
        return True

    def _show(self, view: View, null: bool) -> None:
        if self.mode is Mode.JSON:
            self.document(view.json)
        elif self.mode is Mode.QUIET or null:
            for item in view.quiet:
                self._write(item, end="\0" if null else "\n")
        elif self.mode is Mode.HUMAN and view.human:
            self.console(self.stdout).print(view.human())
        else:
            for line in view.lines:
                self._write(line)

    def document(self, value: Any) -> None:
        """Write `value` to stdout as one JSON document."""
        text = json.dumps(value, ensure_ascii=False, indent=2)
        try:
            text.encode(self.stdout.encoding or "utf-8")
        except UnicodeEncodeError:
            text = json.dumps(value, indent=2)
        self._write(text)

    def record(self, value: Any) -> bool:
        """Write `value` to stdout as one line of JSON; False when the reader closed the pipe."""
        return self.write_flushed(lambda: self._write(json.dumps(value)))

    def note(self, text: str) -> None:
        """Write a message to stderr, except in quiet mode."""
        if self.mode is not Mode.QUIET:
            self._print(text, style="dim")

    def detail(self, text: str) -> None:
        """Write a message to stderr under --verbose."""
        if self.verbose:
            self._print(text, style="dim")

    def hint(self, text: str) -> None:
        """Write what to do next to stderr, except in quiet mode."""
        if self.mode is not Mode.QUIET:
            self._print(text, style="cyan")

    def warn(self, text: str) -> None:
        """Write a warning to stderr."""
        self._print(text, style="yellow")

    def error(self, error: ClipstackError) -> None:
        """Write an error with its hint: as JSON to stdout under --json, else to stderr."""
        if self.mode is Mode.JSON:
            self.document({"error": error_document(error)})
            return
        self._print(f"Error: {error.message}", style="bold red")
        if error.hint:
            self._print(error.hint, style="cyan")

    def confirm(self, question: str) -> None:
        """Ask for confirmation of something that can't be undone.

        Raises:
            ClipstackError: nobody can be asked, or the answer is no (exit code 8).
        """
        if self._yes:
            return
        if not (self._ask and sys.stdin.isatty() and self.stderr.isatty()):
            raise ClipstackError(
                question.rstrip("?") + ": this needs a yes",
                hint="Add --yes to go ahead.",
                code=ExitCode.CONFIRMATION,
            )
        self._print(f"{question} [y/N] ", style="bold", end="")
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            raise ClipstackError("nothing was changed", code=ExitCode.CONFIRMATION)

    def _print(self, text: str, *, style: str, end: str = "\n") -> None:
        if self.stderr.isatty():
            self.console().print(text, style=style, end=end, soft_wrap=True)
        else:
            self._write(text, end=end, stream=self.stderr)

    def _write(self, text: str, *, end: str = "\n", stream: TextIO | None = None) -> None:
        stream = stream or self.stdout
        try:
            stream.write(text + end)
        except UnicodeEncodeError:
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="surrogateescape")
            try:
                stream.write(text + end)
            except UnicodeEncodeError:
                stream.write((text + end).encode("ascii", "backslashreplace").decode())


def error_document(error: ClipstackError) -> dict[str, Any]:
    """An error in the form `--json` writes."""
    name = ExitCode(error.code).name.lower()
    document = {"code": int(error.code), "name": name, "message": error.message}
    return document | ({"hint": error.hint} if error.hint else {})


def printable(text: str) -> str:
    """`text` with control characters and invalid bytes escaped: safe to show on a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def tilde(path: str) -> str:
    """`path` with ~ for the home folder."""
    home = str(Path.home())
    return "~" + path[len(home) :] if home != "/" and path.startswith(home + "/") else path


def shortened(path: str) -> str:
    """`path` relative to the current folder where it lies below it, else with ~."""
    here = str(Path.cwd())
    if here != "/" and path.startswith(here + "/"):
        return path[len(here) + 1 :]
    return tilde(path)
