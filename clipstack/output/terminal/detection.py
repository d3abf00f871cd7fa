"""How a terminal shows pictures: by its environment, or by its replies to queries."""

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

# All queries are sent at once. Every terminal replies to the last, which ends the wait.
# XTVERSION; a query of Kitty's protocol; a cell's size in pixels; the primary device attributes.
_VERSION = "\x1b[>q"
_KITTY = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"
_CELL = "\x1b[16t"
_ATTRIBUTES = "\x1b[c"
_LAST_REPLY = re.compile(r"\x1b\[\?[\d;]*c")
_TIMEOUT = 0.3
_TIMEOUT_SSH = 1.5
_DEFAULT_CELL = (10, 20)
# These print unknown queries as text, or take them for something else.
_NOT_QUERIED = ("", "dumb", "linux", "unknown")


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
        through_tmux: whether sequences are passed to the terminal that tmux runs in.
    """

    protocol: Protocol
    cell: tuple[int, int] = _DEFAULT_CELL
    through_tmux: bool = False


@dataclass(frozen=True, slots=True)
class _Replies:
    version: str = ""
    kitty: bool = False
    sixel: bool = False
    cell: tuple[int, int] | None = None


def detect(
    stream: TextIO, preview: str, *, environment: Mapping[str, str] | None = None
) -> Terminal | None:
    """How pictures can be shown on `stream`.

    Args:
        preview: "auto"; the name of a protocol, which is then used unchecked; or "off".
        environment: that of this process by default.

    Returns:
        None where `stream` is not a terminal, or not known to show pictures; "auto" never gives
        BLOCKS.
    """
    environment = os.environ if environment is None else environment
    if preview == "off" or not stream.isatty() or environment.get("TERM") == "dumb":
        return None
    cell = _cell_size(stream)
    if preview == Protocol.BLOCKS:
        return Terminal(Protocol.BLOCKS, cell or _DEFAULT_CELL)
    in_tmux = bool(environment.get("TMUX"))
    if preview == "auto":
        protocol = None if in_tmux else _from_environment(environment)
    else:
        protocol = Protocol(preview)
    replies = _Replies()
    if protocol is None or cell is None or in_tmux:
        replies = _query(stream, environment, in_tmux)
    cell = cell or replies.cell or _DEFAULT_CELL
    if in_tmux:
        return _in_tmux(protocol, replies, cell)
    if protocol is None and not environment.get("STY"):
        protocol = _from_replies(replies)
    return Terminal(protocol, cell) if protocol else None


def _from_environment(environment: Mapping[str, str]) -> Protocol | None:
    """The protocol that the variables name; ssh passes TERM and LC_* on."""
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if environment.get("STY"):  # GNU screen passes no pictures on
        return None
    if term.startswith(("xterm-kitty", "xterm-ghostty")):
        return Protocol.KITTY
    if environment.get("LC_TERMINAL") == "iTerm2" or program in ("iTerm.app", "WezTerm"):
        return Protocol.ITERM
    if term.startswith(("foot", "mlterm")):
        return Protocol.SIXEL
    return None


def _from_replies(replies: _Replies) -> Protocol | None:
    if re.match(r"iTerm2|WezTerm", replies.version):
        return Protocol.ITERM
    if replies.kitty:
        return Protocol.KITTY
    return Protocol.SIXEL if replies.sixel else None


def _in_tmux(
    protocol: Protocol | None, replies: _Replies, cell: tuple[int, int]
) -> Terminal | None:
    """tmux draws Sixel itself where it was built with it, and can pass Kitty's sequences on."""
    if protocol in (Protocol.KITTY, Protocol.ITERM):
        return Terminal(protocol, cell, through_tmux=True)
    if protocol is None and _tmux_passes_to_kitty():
        return Terminal(Protocol.KITTY, cell, through_tmux=True)
    if replies.sixel:
        return Terminal(Protocol.SIXEL, cell)
    return Terminal(Protocol.SIXEL, cell, through_tmux=True) if protocol else None


def _tmux_passes_to_kitty() -> bool:
    format = "#{allow-passthrough} #{client_termtype} #{client_termname}"
    try:
        output = subprocess.run(
            ["tmux", "display-message", "-p", "-t", os.environ.get("TMUX_PANE", ""), format],
            capture_output=True,
            text=True,
            check=False,
            timeout=2,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False
    allowed, _, terminal = output.strip().partition(" ")
    is_kitty = re.search(r"kitty|ghostty", terminal, re.IGNORECASE)
    return allowed in ("1", "2", "on", "all") and is_kitty is not None


def _cell_size(stream: TextIO) -> tuple[int, int] | None:
    """A cell's width and height in pixels, where the terminal driver knows them."""
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


def _query(stream: TextIO, environment: Mapping[str, str], in_tmux: bool) -> _Replies:
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if term in _NOT_QUERIED or program == "Apple_Terminal":
        return _Replies()
    # tmux and screen take Kitty's query for a title.
    queries = _VERSION + ("" if in_tmux or environment.get("STY") else _KITTY) + _CELL + _ATTRIBUTES
    timeout = _TIMEOUT_SSH if environment.get("SSH_CONNECTION") else _TIMEOUT
    with contextlib.suppress(OSError), _cbreak(stream) as terminal:
        return _parse(_read_replies(stream, terminal, queries, timeout))
    return _Replies()


def _parse(replies: str) -> _Replies:
    version = re.search(r"\x1bP>\|([^\x1b]*)\x1b\\", replies)
    cell = re.search(r"\x1b\[6;(\d+);(\d+)t", replies)
    attributes = _LAST_REPLY.search(replies)
    return _Replies(
        version=version[1] if version else "",
        kitty="\x1b_Gi=31;OK" in replies,
        sixel=attributes is not None and "4" in re.findall(r"\d+", attributes[0])[1:],
        cell=(int(cell[2]), int(cell[1])) if cell and int(cell[1]) and int(cell[2]) else None,
    )


@contextlib.contextmanager
def _cbreak(stream: TextIO) -> Iterator[int]:
    """The terminal behind `stream` with echo and line buffering off.

    Raises:
        OSError: this process is not in the foreground of that terminal.
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


def _read_replies(stream: TextIO, terminal: int, queries: str, timeout: float) -> str:
    if select.select([terminal], [], [], 0)[0]:  # keys typed ahead, for the shell
        return ""
    stream.write(queries + "\r\x1b[K")
    stream.flush()
    replies = b""
    deadline = time.monotonic() + timeout
    while (left := deadline - time.monotonic()) > 0:
        if select.select([terminal], [], [], left)[0]:
            replies += os.read(terminal, 1024)
            if _LAST_REPLY.search(replies.decode("latin-1")):
                break
    return replies.decode("latin-1")
