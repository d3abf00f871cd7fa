"""Glob patterns in, the paths that match them out: `*`, `?`, `[...]`, `**`; no hidden files."""

# Paths are strings here: millions of them pass.
# ruff: noqa: PTH116, PTH118, PTH206
from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterator

SKIPPED_FOLDERS = frozenset(
    {
        "@eaDir",
        "@Recycle",
        "#recycle",
        "#snapshot",
        "$RECYCLE.BIN",
        "System Volume Information",
        "__MACOSX",
        "lost+found",
    }
)
"""Folders that photo stations, archives and recycle bins leave between the pictures."""


def is_skipped(name: str) -> bool:
    """Whether an entry of a folder is left out unless it is named."""
    return name.startswith(".") or name in SKIPPED_FOLDERS


def expand(pattern: str) -> Iterator[str]:
    """The paths that an absolute pattern matches, sorted level by level."""
    parts = pattern.split(os.sep)
    fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return _expand_below(os.sep.join(parts[:fixed]) or os.sep, parts[fixed:], ())


def _expand_below(base: str, parts: list[str], chain: tuple[tuple[int, int], ...]) -> Iterator[str]:
    part, rest = parts[0], parts[1:]
    if part == "**":
        if rest:
            yield from _expand_below(base, rest, chain)
        yield from _expand_deeper(base, parts, chain)
        return
    if not glob.has_magic(part):
        path = os.path.join(base, part)
        if os.path.lexists(path):
            yield from _expand_below(path, rest, chain) if rest else (path,)
        return
    for entry in _entries(base):
        if fnmatch.fnmatchcase(entry.name, part) and _visible(entry.name, part):
            if not rest:
                yield entry.path
            elif _is_folder(entry):
                yield from _expand_below(entry.path, rest, chain)


def _expand_deeper(
    base: str, parts: list[str], chain: tuple[tuple[int, int], ...]
) -> Iterator[str]:
    """What the pattern, whose first part is `**`, matches below the entries of a folder."""
    for entry in _entries(base):
        if is_skipped(entry.name):
            continue
        if len(parts) == 1 and not _is_folder(entry):
            yield entry.path
        elif _is_folder(entry):
            status = os.stat(entry.path)
            identity = status.st_dev, status.st_ino
            if identity not in chain:
                yield from _expand_below(entry.path, parts, (*chain, identity))


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _visible(name: str, part: str) -> bool:
    return not is_skipped(name) or part.startswith(".") or name == part


def matches(names: list[str], parts: list[str], recursive: bool) -> bool:
    """Whether a pattern matches a path, or a folder whose scan finds it.

    Args:
        names: the path, split at its slashes.
        parts: the pattern, split at its slashes.
        recursive: whether a folder's subfolders are scanned.
    """
    if not parts:
        return not any(map(is_skipped, names)) and (recursive or len(names) <= 1)
    if parts[0] == "**":
        return matches(names, parts[1:], recursive) or bool(
            names and not is_skipped(names[0]) and matches(names[1:], parts, recursive)
        )
    if not names or not fnmatch.fnmatchcase(names[0], parts[0]):
        return False
    return _visible(names[0], parts[0]) and matches(names[1:], parts[1:], recursive)
