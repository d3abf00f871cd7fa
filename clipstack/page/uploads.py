"""Query pictures that were uploaded recently."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict

_MAX_COUNT = 24
_MAX_BYTES = 96 << 20


class Uploads:
    """A store of pictures in memory, with limits: the least recently used are removed first.

    Args:
        max_count: pictures that are kept.
        max_bytes: bytes of all pictures that are kept.
    """

    def __init__(self, max_count: int = _MAX_COUNT, max_bytes: int = _MAX_BYTES) -> None:
        self._pictures: OrderedDict[str, bytes] = OrderedDict()
        self._max_count = max_count
        self._max_bytes = max_bytes
        self._lock = threading.Lock()

    def keep(self, data: bytes) -> str:
        """Keep a picture; returns its name, 32 hexadecimal digits."""
        name = hashlib.blake2b(data, digest_size=16).hexdigest()
        with self._lock:
            self._pictures[name] = data
            self._pictures.move_to_end(name)
            while len(self._pictures) > 1 and (
                len(self._pictures) > self._max_count or self._size() > self._max_bytes
            ):
                self._pictures.popitem(last=False)
        return name

    def get(self, name: str) -> bytes | None:
        """The picture of that name, or None if it is no longer kept."""
        with self._lock:
            if name in self._pictures:
                self._pictures.move_to_end(name)
            return self._pictures.get(name)

    def _size(self) -> int:
        return sum(map(len, self._pictures.values()))
