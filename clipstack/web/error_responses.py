"""What went wrong in, a status code with a JSON reason out."""

from __future__ import annotations

import logging
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from clipstack.errors import ClipstackError, ImageError, Reason

_log = logging.getLogger("bentoml.clipstack")

_OF_PICTURES = {
    Reason.UNSUPPORTED: 415,
    Reason.UNREADABLE: 422,
    Reason.TRUNCATED: 422,
    Reason.TOO_LARGE: 413,
    Reason.EMPTY: 400,
}


class BusyError(ClipstackError):
    """There is more to do than can be done in time; `retry_after` whole seconds may help."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message, hint=f"Try again in {retry_after} s.")
        self.retry_after = retry_after


class RequestError(Exception):
    """A request that can't be served as it is.

    Args:
        status: 4xx.
        reason: one or two words for programs.
        message: a sentence for people.
        headers: to send along.
    """

    def __init__(
        self, status: int, reason: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.headers = headers or {}


def described(error: Exception) -> RequestError:
    """Any error as a status, a reason and a message; what is no caller's fault is logged."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, ImageError):
        return RequestError(_OF_PICTURES.get(error.reason, 422), str(error.reason), str(error))
    if isinstance(error, BusyError):
        headers = {"Retry-After": str(error.retry_after)}
        return RequestError(503, "busy", f"{error.message}. {error.hint}", headers)
    if isinstance(error, HTTPException):
        reason = {404: "not found", 405: "method"}.get(error.status_code, "refused")
        headers = dict(error.headers or {})
        return RequestError(error.status_code, reason, str(error.detail), headers)
    _log.error("A request failed", exc_info=error)
    message = error.message if isinstance(error, ClipstackError) else "see the service's log"
    return RequestError(500, "failed", message)


def as_json(error: RequestError) -> dict[str, Any]:
    """The error as it stands in an answer."""
    return {"error": error.message, "reason": error.reason}


def response(error: Exception) -> JSONResponse:
    """The answer to a request that failed."""
    known = described(error)
    return JSONResponse(as_json(known), known.status, known.headers)
