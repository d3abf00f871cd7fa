"""A picture's bytes in, a name for it out: the query pictures of the last few searches."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict

_MOST = 24
_MOST_BYTES = 96 << 20


class Uploads:
    """Pictures somebody looks for, in memory only; the oldest go first."""

    def __init__(self, most: int = _MOST, most_bytes: int = _MOST_BYTES) -> None:
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._most = most
        self._most_bytes = most_bytes
        self._lock = threading.Lock()

    def keep(self, data: bytes) -> str:
        """Keep a picture; returns its name, 32 hexadecimal digits."""
        name = hashlib.blake2b(data, digest_size=16).hexdigest()
        with self._lock:
            self._kept[name] = data
            self._kept.move_to_end(name)
            while len(self._kept) > 1 and (
                len(self._kept) > self._most or self._size() > self._most_bytes
            ):
                self._kept.popitem(last=False)
        return name

    def get(self, name: str) -> bytes | None:
        """The picture of that name, or None when it is no longer kept."""
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
            return self._kept.get(name)

    def _size(self) -> int:
        return sum(map(len, self._kept.values()))
