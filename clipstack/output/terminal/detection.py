"""A stream and what the user wants in; how pictures can be shown on that terminal out."""

from __future__ import annotations

import contextlib
import os
import re
import select
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TextIO

# Asked in one go; every terminal answers the last, so nothing is waited for that never comes.
# XTVERSION; a query of Kitty's protocol; a cell's size in pixels; the primary device attributes.
_VERSION = "\x1b[>q"
_KITTY = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"
_CELL = "\x1b[16t"
_ATTRIBUTES = "\x1b[c"
_ANSWERED = re.compile(r"\x1b\[\?[\d;]*c")
_SECONDS = 0.3
_SECONDS_SSH = 1.5
_USUAL_CELL = (10, 20)
# These show questions they don't know as text, or take them for something else.
_NOT_ASKED = ("", "dumb", "linux", "unknown")


class Protocol(StrEnum):
    """How a picture is put on a terminal."""

    KITTY = "kitty"
    ITERM = "iterm"
    SIXEL = "sixel"
    BLOCKS = "blocks"


@dataclass(frozen=True, slots=True)
class Terminal:
    """A terminal that shows pictures.

    Attributes:
        cell: width and height of one character in pixels.
        through_tmux: whether sequences are meant for the terminal that tmux runs in.
    """

    protocol: Protocol
    cell: tuple[int, int] = _USUAL_CELL
    through_tmux: bool = False


@dataclass(frozen=True, slots=True)
class _Answers:
    version: str = ""
    kitty: bool = False
    sixel: bool = False
    cell: tuple[int, int] | None = None


def find(
    stream: TextIO, wanted: str, *, environment: Mapping[str, str] | None = None
) -> Terminal | None:
    """How pictures can be shown on `stream`.

    Args:
        wanted: "auto", or the name of a protocol, which is then believed; "off" for none.
        environment: that of this process by default.

    Returns:
        None where it is no terminal, or is not known to show pictures ("auto" never gives BLOCKS).
    """
    about = os.environ if environment is None else environment
    if wanted == "off" or not stream.isatty() or about.get("TERM") == "dumb":
        return None
    cell = _cell(stream)
    if wanted == Protocol.BLOCKS:
        return Terminal(Protocol.BLOCKS, cell or _USUAL_CELL)
    in_tmux = bool(about.get("TMUX"))
    protocol = Protocol(wanted) if wanted != "auto" else None if in_tmux else _by_name(about)
    answers = _Answers()
    if protocol is None or cell is None or in_tmux:
        answers = _ask(stream, about, in_tmux)
    cell = cell or answers.cell or _USUAL_CELL
    if in_tmux:
        return _in_tmux(protocol, answers, cell)
    if protocol is None and not about.get("STY"):
        protocol = _by_answers(answers)
    return Terminal(protocol, cell) if protocol else None


def _by_name(about: Mapping[str, str]) -> Protocol | None:
    """What a terminal shows by the variables it sets; TERM and LC_* come through ssh too."""
    term, program = about.get("TERM", ""), about.get("TERM_PROGRAM", "")
    if about.get("STY"):  # GNU screen, which lets none through
        return None
    if term.startswith(("xterm-kitty", "xterm-ghostty")):
        return Protocol.KITTY
    if about.get("LC_TERMINAL") == "iTerm2" or program in ("iTerm.app", "WezTerm"):
        return Protocol.ITERM
    if term.startswith(("foot", "mlterm")):
        return Protocol.SIXEL
    return None


def _by_answers(answers: _Answers) -> Protocol | None:
    if re.match(r"iTerm2|WezTerm", answers.version):
        return Protocol.ITERM
    if answers.kitty:
        return Protocol.KITTY
    return Protocol.SIXEL if answers.sixel else None


def _in_tmux(
    protocol: Protocol | None, answers: _Answers, cell: tuple[int, int]
) -> Terminal | None:
    """tmux draws Sixel itself where it was built so, and can hand on what Kitty understands."""
    if protocol in (Protocol.KITTY, Protocol.ITERM):
        return Terminal(protocol, cell, through_tmux=True)
    if protocol is None and _tmux_hands_on_to_kitty():
        return Terminal(Protocol.KITTY, cell, through_tmux=True)
    if answers.sixel:
        return Terminal(Protocol.SIXEL, cell)
    return Terminal(Protocol.SIXEL, cell, through_tmux=True) if protocol else None


def _tmux_hands_on_to_kitty() -> bool:
    about = "#{allow-passthrough} #{client_termtype} #{client_termname}"
    try:
        shown = subprocess.run(
            ["tmux", "display-message", "-p", "-t", os.environ.get("TMUX_PANE", ""), about],
            capture_output=True,
            text=True,
            check=False,
            timeout=2,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False
    allowed, _, terminal = shown.strip().partition(" ")
    is_kitty = re.search(r"kitty|ghostty", terminal, re.IGNORECASE)
    return allowed in ("1", "2", "on", "all") and is_kitty is not None


def _cell(stream: TextIO) -> tuple[int, int] | None:
    """A cell's size in pixels, where the terminal's driver knows it."""
    import fcntl
    import struct
    import termios

    try:
        answer = fcntl.ioctl(stream.fileno(), termios.TIOCGWINSZ, bytes(8))
    except OSError:
        return None
    rows, columns, width, height = struct.unpack("HHHH", answer)
    if not (rows and columns and width >= columns and height >= rows):
        return None
    return width // columns, height // rows


def _ask(stream: TextIO, about: Mapping[str, str], in_tmux: bool) -> _Answers:
    term, program = about.get("TERM", ""), about.get("TERM_PROGRAM", "")
    if term in _NOT_ASKED or program == "Apple_Terminal":
        return _Answers()
    # tmux and screen take Kitty's question for a title.
    question = _VERSION + ("" if in_tmux or about.get("STY") else _KITTY) + _CELL + _ATTRIBUTES
    seconds = _SECONDS_SSH if about.get("SSH_CONNECTION") else _SECONDS
    with contextlib.suppress(OSError), _unbuffered(stream) as terminal:
        return _understood(_answer(stream, terminal, question, seconds))
    return _Answers()


def _understood(answer: str) -> _Answers:
    version = re.search(r"\x1bP>\|([^\x1b]*)\x1b\\", answer)
    cell = re.search(r"\x1b\[6;(\d+);(\d+)t", answer)
    attributes = _ANSWERED.search(answer)
    return _Answers(
        version=version[1] if version else "",
        kitty="\x1b_Gi=31;OK" in answer,
        sixel=attributes is not None and "4" in re.findall(r"\d+", attributes[0])[1:],
        cell=(int(cell[2]), int(cell[1])) if cell and int(cell[1]) and int(cell[2]) else None,
    )


@contextlib.contextmanager
def _unbuffered(stream: TextIO) -> Iterator[int]:
    """The terminal behind `stream`, its keys neither shown nor kept until Enter.

    Raises:
        OSError: this process is not the one in the foreground of that terminal.
    """
    import termios

    terminal = os.open(os.ttyname(stream.fileno()), os.O_RDWR | os.O_NOCTTY)
    try:
        if os.tcgetpgrp(terminal) != os.getpgrp():
            raise OSError("in the background")
        before = termios.tcgetattr(terminal)
        after = termios.tcgetattr(terminal)
        after[3] &= ~(termios.ICANON | termios.ECHO)
        try:
            termios.tcsetattr(terminal, termios.TCSADRAIN, after)
            yield terminal
        finally:
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)
    finally:
        os.close(terminal)


def _answer(stream: TextIO, terminal: int, question: str, seconds: float) -> str:
    if select.select([terminal], [], [], 0)[0]:  # typed ahead, for the shell
        return ""
    stream.write(question + "\r\x1b[K")
    stream.flush()
    answer = b""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if select.select([terminal], [], [], left)[0]:
            answer += os.read(terminal, 1024)
            if _ANSWERED.search(answer.decode("latin-1")):
                break
    return answer.decode("latin-1")
