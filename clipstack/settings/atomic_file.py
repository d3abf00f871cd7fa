"""A path and its new content in; the file with all of it, or as it was, out."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def replace(path: Path, content: str | bytes, *, mode: int = 0o666) -> None:
    """Write a file anew, so that whoever reads it meanwhile, or is killed, has it whole.

    Args:
        content: text is written as UTF-8.
        mode: permissions of the file, which the umask narrows.

    Raises:
        OSError: it can't be written; nothing is left behind.
    """
    data = content.encode() if isinstance(content, str) else content
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
            out.write(data)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
