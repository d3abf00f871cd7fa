"""Files that are replaced atomically."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def replace(path: Path, content: str | bytes, *, mode: int = 0o666) -> None:
    """Replace the content of a file, so that readers see all of the old one or all of the new one,
    even if this process is killed.

    Args:
        content: text is written as UTF-8.
        mode: permissions of the file, less the umask.

    Raises:
        OSError: the file can't be written; no temporary file is left behind.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
            out.write(data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
