"""Errors that clipstack raises, and exit codes."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class ExitCode(IntEnum):
    """Exit codes of the process; scripts may rely on these numbers."""

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
    HANGUP = 129
    INTERRUPTED = 130
    TERMINATED = 143


class ClipstackError(Exception):
    """A failure that the user can act on.

    Args:
        message: what happened, in the user's words, without a full stop at the end.
        hint: what to type or change next; may have several lines.
        code: the exit code of the command.
    """

    code: ExitCode = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str = "", code: ExitCode | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code


class UsageError(ClipstackError):
    """The command was used wrongly: its arguments or settings are not valid."""

    code = ExitCode.USAGE


class NotFoundError(ClipstackError):
    """Something that the user named (a collection, a file, a target) does not exist."""

    code = ExitCode.NOT_FOUND


class PrerequisiteError(ClipstackError):
    """Something the command needs (a model, a package, memory) is missing."""

    code = ExitCode.PREREQUISITE


class UnreachableError(ClipstackError):
    """A service or file can't be used now: it is not running, or another process holds it."""

    code = ExitCode.UNREACHABLE


class Reason(StrEnum):
    """Why a picture can't be read."""

    UNREADABLE = "unreadable"
    TRUNCATED = "truncated"
    TOO_LARGE = "too large"
    UNSUPPORTED = "unsupported"
    EMPTY = "empty"
    PERMISSION = "permission"
    VANISHED = "vanished"
    CHANGED = "changed"


class ImageError(ClipstackError):
    """A picture can't be read or decoded.

    Args:
        path: of the file, or "" for bytes from elsewhere.
        reason: the kind of fault.
        detail: the particular fault, in a few words.
    """

    def __init__(self, path: str, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{path or 'the picture'}: {reason}" + (f" ({detail})" if detail else ""))
        self.path = path
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[ImageError], tuple[str, Reason, str]]:
        return type(self), (self.path, self.reason, self.detail)
