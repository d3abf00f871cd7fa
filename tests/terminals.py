"""A terminal that replies to queries, and readers of the pictures drawn on it."""

from __future__ import annotations

import base64
import fcntl
import io
import os
import re
import struct
import subprocess
import termios
import threading
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

ATTRIBUTES = b"\x1b[c"
CELL = b"\x1b[16t"
KITTY = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"
VERSION = b"\x1b[>q"


class Terminal:
    """A pseudo-terminal with a process of its own; everything written to it is kept.

    Args:
        replies: by query; each is typed back once, when its query appears.
        pixels: of the whole terminal; (0, 0) where its driver does not know them.
    """

    def __init__(
        self,
        replies: Mapping[bytes, bytes] | None = None,
        *,
        size: tuple[int, int] = (100, 50),
        pixels: tuple[int, int] = (0, 0),
    ) -> None:
        self._replies = dict(replies or {})
        self._master, self._slave = os.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], *pixels))
        self.written = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def start(self, command: list[str], **environment: str) -> subprocess.Popen[bytes]:
        """Run `command` as the terminal's foreground process."""
        return subprocess.Popen(
            command,
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env={**os.environ, **environment},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def run(self, command: list[str], **environment: str) -> bytes:
        """What `command` wrote until it ended successfully."""
        assert self.start(command, **environment).wait(60) == 0, self.written.decode()
        os.close(self._slave)
        self._reader.join(5)
        return self.written

    def _read(self) -> None:
        while True:
            try:
                self.written += os.read(self._master, 65536)
            except OSError:  # Linux' end of file on a pseudo-terminal
                return
            for query in [text for text in self._replies if text in self.written]:
                os.write(self._master, self._replies.pop(query))


@dataclass(frozen=True)
class Drawn:
    """A picture in what a process wrote.

    Attributes:
        control: the protocol's keys and values.
        pixels: RGBA.
        before: the text since the picture before, or the start.
    """

    control: dict[str, str]
    pixels: Pixels
    before: str


def kitty(written: str) -> list[Drawn]:
    """Pictures sent by Kitty's protocol as PNG, in chunks of at most 4096 characters."""
    pictures: list[Drawn] = []
    control: dict[str, str] = {}
    data, before, end = "", "", 0
    for match in re.finditer(r"\x1b_G([^;\x1b]*);([^\x1b]*)\x1b\\", written):
        keys = dict(pair.split("=") for pair in match[1].split(","))
        if keys.get("a") == "q":
            continue
        if not control:
            control, before = keys, written[end : match.start()]
        assert len(match[2]) <= 4096
        assert keys["m"] == "0" or len(match[2]) % 4 == 0
        data += match[2]
        end = match.end()
        if keys["m"] == "0":
            pictures.append(Drawn(control, _image(base64.b64decode(data, validate=True)), before))
            control, data = {}, ""
    assert not control, "the last chunk never came"
    return pictures


def iterm(written: str) -> list[Drawn]:
    """Pictures sent by iTerm2's protocol."""
    pictures: list[Drawn] = []
    end = 0
    for match in re.finditer(r"\x1b\]1337;File=([^:]*):([^\x07]*)\x07", written):
        keys = dict(pair.split("=") for pair in match[1].split(";"))
        data = base64.b64decode(match[2], validate=True)
        assert int(keys["size"]) == len(data)
        pictures.append(Drawn(keys, _image(data), written[end : match.start()]))
        end = match.end()
    return pictures


def sixel(written: str) -> list[Drawn]:
    """Pictures sent as Sixel, read as DEC's VT330/VT340 Programmer Reference says."""
    pictures: list[Drawn] = []
    end = 0
    for match in re.finditer(r"\x1bP[\d;]*q([^\x1b]*)\x1b\\", written):
        pictures.append(Drawn({}, _sixel(match[1]), written[end : match.start()]))
        end = match.end()
    return pictures


def _sixel(data: str) -> Pixels:
    raster = re.match(r'"1;1;(\d+);(\d+)', data)
    assert raster, "raster attributes"
    width, height = int(raster[1]), int(raster[2])
    canvas = np.zeros((-(-height // 6) * 6, width, 4), np.uint8)
    palette: dict[int, tuple[int, ...]] = {}
    colour = (0, 0, 0)
    x = y = 0
    for token in re.finditer(r"#(\d+)(?:;2;(\d+);(\d+);(\d+))?|!(\d+)([?-~])|([?-~])|([$-])", data):
        if token[1]:
            if token[2]:
                assert not canvas.any(), "xterm wants all colours before the first pixel"
                palette[int(token[1])] = tuple(round(int(token[n]) * 2.55) for n in (2, 3, 4))
            colour = palette[int(token[1])]  # type: ignore[assignment]
        elif token[8]:
            x, y = 0, y + (6 if token[8] == "-" else 0)
        else:
            times, bits = int(token[5] or 1), ord(token[6] or token[7]) - 0x3F
            for bit in range(6):
                if bits >> bit & 1:
                    canvas[y + bit, x : x + times] = (*colour, 255)
            x += times
            assert x <= width
    return canvas[:height]


def _image(data: bytes) -> Pixels:
    with Image.open(io.BytesIO(data)) as im:
        return np.asarray(im.convert("RGBA"))


def difference(drawn: Pixels, picture: Image.Image) -> float:
    """The mean difference, of 255, of the opaque part of `drawn` (RGBA) and `picture`."""
    opaque = drawn[..., 3] > 0
    tall, wide = np.flatnonzero(opaque.any(1)), np.flatnonzero(opaque.any(0))
    part = drawn[tall[0] : tall[-1] + 1, wide[0] : wide[-1] + 1, :3]
    assert opaque[tall[0] : tall[-1] + 1, wide[0] : wide[-1] + 1].all()
    size = part.shape[1], part.shape[0]
    expected = np.asarray(picture.convert("RGB").resize(size, Image.Resampling.BICUBIC))
    return float(np.abs(part.astype(int) - expected).mean())
