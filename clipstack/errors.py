"""The errors clipstack raises and the exit codes they end in."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class ExitCode(IntEnum):
    """What the process returns; scripts may rely on these numbers."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNHEALTHY = 3
    PREREQUISITE = 4
    UNREACHABLE = 5
    NOT_FOUND = 6
    PARTIAL = 7
    CONFIRMATION = 8
    TIMEOUT = 124
    INTERRUPTED = 130


class ClipstackError(Exception):
    """A failure a person can act on.

    Args:
        message: what happened, in the user's words, without a trailing full stop needed.
        hint: what to type or change next; may hold several lines.
        code: the exit code the command ends with.
    """

    code: ExitCode = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str = "", code: ExitCode | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code


class UsageError(ClipstackError):
    """The command was asked for something that makes no sense."""

    code = ExitCode.USAGE


class NotFoundError(ClipstackError):
    """A named thing (collection, file, setting) does not exist."""

    code = ExitCode.NOT_FOUND


class PrerequisiteError(ClipstackError):
    """Something the command needs (a model, a package, memory) is missing."""

    code = ExitCode.PREREQUISITE


class UnreachableError(ClipstackError):
    """A service or file is there but can't be used now: not running, or held by another process."""

    code = ExitCode.UNREACHABLE


class Reason(StrEnum):
    """Why a picture could not be read."""

    UNREADABLE = "unreadable"
    TRUNCATED = "truncated"
    TOO_LARGE = "too large"
    UNSUPPORTED = "unsupported"
    EMPTY = "empty"
    PERMISSION = "permission"
    VANISHED = "vanished"
    CHANGED = "changed"


class ImageError(ClipstackError):
    """One picture that can't be turned into pixels.

    Args:
        path: the file, or "" for bytes without one.
        reason: one of the named reasons.
        detail: the particular fault, in a few words.
    """

    def __init__(self, path: str, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{path or 'the picture'}: {reason}" + (f" ({detail})" if detail else ""))
        self.path = path
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[ImageError], tuple[str, Reason, str]]:
        return type(self), (self.path, self.reason, self.detail)
