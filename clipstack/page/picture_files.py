"""A row of the collection in; the picture it stands for, re-encoded, out.

What is on the disk now is served only while it is what was imported: the same size and time of
change and, where a link stands in its place, the same bytes too.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any

from clipstack import thumbnail_cache
from clipstack.errors import ImageError, Reason
from clipstack.images.decode import Limits, read_file
from clipstack.page.uploads import Uploads
from clipstack.settings import Settings
from clipstack.thumbnail_cache import MEDIA_TYPE, Expected
from clipstack.web.error_responses import RequestError

__all__ = ["EDGES", "MEDIA_TYPE", "Pictures"]

EDGES = {"small": 512, "large": 1920}
"""The renditions there are: pixels of the longer side."""
_CHIP = 96
_STATUS = {Reason.VANISHED: 404, Reason.CHANGED: 409, Reason.PERMISSION: 403}


class Pictures:
    """Renditions of rows, and the query's own pictures."""

    def __init__(self, settings: Settings) -> None:
        self._limits = Limits(max_bytes=settings.max_bytes, max_pixels=settings.max_pixels)
        self._thumbnails = thumbnail_cache.of_user(settings)
        self.uploads = Uploads()

    def rendition(self, row: Mapping[str, Any], kind: str) -> bytes:
        """A WebP of the row's picture.

        Args:
            row: every field of it.
            kind: a name of `EDGES`.

        Raises:
            RequestError: the file is gone, is another than was imported, or can't be read.
        """
        path = row["path"]
        try:
            is_link = os.path.islink(path)  # noqa: PTH114 - a lone surrogate is fine
            if is_link:
                self._check_link(path, row["digest"])
            expected = Expected(row["size"], row["mtime_ns"])
            return self._thumbnails.get(path, EDGES[kind], expected=expected, follow=is_link)
        except ImageError as error:
            detail = error.detail or str(error.reason)
            raise RequestError(_STATUS.get(error.reason, 422), str(error.reason), detail) from None

    def keep(self, data: bytes) -> tuple[str, bytes]:
        """Keep a picture to search by; returns its name and a small WebP of it.

        Raises:
            ImageError: it can't be read, or is too large.
        """
        from clipstack.images import thumbnail

        small = thumbnail.make(data, _CHIP, self._limits)
        return self.uploads.keep(data), small

    def _check_link(self, path: str, digest: str) -> None:
        """A picture may have been imported through a link; what it leads to must be the same."""
        found = hashlib.blake2b(read_file(path, self._limits), digest_size=16).hexdigest()
        if found != digest:
            raise ImageError(path, Reason.CHANGED, "it is a link to another file now")
