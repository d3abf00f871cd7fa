"""Log lines of services on stdout: coloured, plain or as JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Sequence

from clipstack.output.out import Mode, Out, printable
from clipstack.stack.logs import LogLine

_COLOURS = ("cyan", "magenta", "green", "yellow", "blue")


class LogWriter:
    """Writes log lines one by one, each flushed.

    Args:
        services: names of the services whose lines are written.
        timestamps: write the time of each line.
    """

    def __init__(self, out: Out, services: Sequence[str], *, timestamps: bool) -> None:
        self._out = out
        self._timestamps = timestamps
        self._width = max((len(name) for name in services), default=0)
        self._colours = {
            name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(sorted(services))
        }

    def write(self, line: LogLine) -> bool:
        """Write one line; False when the reader closed the pipe."""
        return self._out.write_flushed(lambda: self._write(line))

    def _write(self, line: LogLine) -> None:
        if self._out.mode is Mode.HUMAN:
            self._draw(line)
        else:
            self._out.stdout.write(self._plain(line) + "\n")

    def _plain(self, line: LogLine) -> str:
        if self._out.mode is Mode.JSON:
            return json.dumps({"service": line.service, "time": line.time, "text": line.text})
        if self._out.mode is Mode.QUIET:
            return line.text
        time = f"{line.time}\t" if self._timestamps else ""
        return f"{time}{line.service}\t{line.text}"

    def _draw(self, line: LogLine) -> None:
        from rich.text import Text

        text = Text()
        text.append(f"{line.service:<{self._width}} | ", self._colours.get(line.service, ""))
        if self._timestamps:
            text.append(f"{line.time[:23]}Z ", style="dim")
        text.append(_without_escapes(line.text))
        self._out.console(self._out.stdout).print(text, soft_wrap=True)


def _without_escapes(text: str) -> str:
    from rich.text import Text

    return printable(Text.from_ansi(text).plain.replace("\t", "    "))
