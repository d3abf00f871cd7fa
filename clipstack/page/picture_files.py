"""Renditions of the pictures in a collection, and of query pictures.

A file is served only if it is the one that was imported: it has the same size and modification time
and, if it is now a symbolic link, the same digest.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any

from clipstack.errors import ImageError, Reason
from clipstack.images.decode import Limits, read_file
from clipstack.page.uploads import Uploads
from clipstack.settings import Settings
from clipstack.thumbnail_cache import MEDIA_TYPE, ExpectedFile, ThumbnailCache
from clipstack.web.error_responses import RequestError

__all__ = ["EDGES", "MEDIA_TYPE", "Pictures"]

EDGES = {"small": 512, "large": 1920}
"""Pixels of the longer side, by the kind of rendition."""
_QUERY_PICTURE_EDGE = 96
_STATUS = {Reason.VANISHED: 404, Reason.CHANGED: 409, Reason.PERMISSION: 403}


class Pictures:
    """Renditions of rows, and uploaded query pictures."""

    def __init__(self, settings: Settings) -> None:
        self._limits = Limits(max_bytes=settings.max_bytes, max_pixels=settings.max_pixels)
        self._thumbnails = ThumbnailCache.from_settings(settings)
        self.uploads = Uploads()

    def rendition(self, row: Mapping[str, Any], kind: str) -> bytes:
        """The row's picture as WebP.

        Args:
            row: all fields of the row.
            kind: a key of `EDGES`.

        Raises:
            RequestError: the file is gone, is not the one that was imported, or can't be read.
        """
        path = row["path"]
        try:
            is_link = os.path.islink(path)  # noqa: PTH114 - a lone surrogate is fine
            if is_link:
                self._check_link(path, row["digest"])
            expected = ExpectedFile(row["size"], row["mtime_ns"])
            return self._thumbnails.get(path, EDGES[kind], expected=expected, follow=is_link)
        except ImageError as error:
            detail = error.detail or str(error.reason)
            raise RequestError(_STATUS.get(error.reason, 422), str(error.reason), detail) from None

    def keep(self, data: bytes) -> tuple[str, bytes]:
        """Keep a query picture.

        Returns:
            Its name in `uploads`, and a small WebP of it.

        Raises:
            ImageError: it can't be read, or is too large.
        """
        from clipstack.images import thumbnail

        small = thumbnail.make(data, _QUERY_PICTURE_EDGE, self._limits)
        return self.uploads.keep(data), small

    def _check_link(self, path: str, digest: str) -> None:
        """Check that a link leads to the bytes that were imported, perhaps through it."""
        found_digest = hashlib.blake2b(read_file(path, self._limits), digest_size=16).hexdigest()
        if found_digest != digest:
            raise ImageError(path, Reason.CHANGED, "it is a link to another file now")
