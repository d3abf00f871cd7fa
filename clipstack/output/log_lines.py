"""Lines of logs in, coloured, plain or JSON lines on stdout out."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from clipstack.output.out import Mode, Out, printable
from clipstack.stack.logs import Line

_COLOURS = ("cyan", "magenta", "green", "yellow", "blue")


class LogWriter:
    """Writes lines as they come, each at once.

    Args:
        services: those whose lines will come.
        timestamps: show when each was written.
    """

    def __init__(self, out: Out, services: Sequence[str], *, timestamps: bool) -> None:
        self._out = out
        self._timestamps = timestamps
        self._width = max((len(name) for name in services), default=0)
        self._colours = {
            name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(sorted(services))
        }

    def write(self, line: Line) -> bool:
        """Write one line; False when nobody reads any more."""
        try:
            if self._out.mode is Mode.HUMAN:
                self._draw(line)
            else:
                self._out.stdout.write(self._plain(line) + "\n")
            self._out.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._out.stdout.fileno())
            return False
        return True

    def _plain(self, line: Line) -> str:
        if self._out.mode is Mode.JSON:
            return json.dumps({"service": line.service, "time": line.time, "text": line.text})
        if self._out.mode is Mode.QUIET:
            return line.text
        moment = f"{line.time}\t" if self._timestamps else ""
        return f"{moment}{line.service}\t{line.text}"

    def _draw(self, line: Line) -> None:
        from rich.text import Text

        shown = Text()
        shown.append(f"{line.service:<{self._width}} | ", self._colours.get(line.service, ""))
        if self._timestamps:
            shown.append(f"{line.time[:23]}Z ", style="dim")
        shown.append(_without_escapes(line.text))
        self._out.console(self._out.stdout).print(shown, soft_wrap=True)


def _without_escapes(text: str) -> str:
    from rich.text import Text

    return printable(Text.from_ansi(text).plain.replace("\t", "    "))
