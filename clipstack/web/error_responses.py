"""Errors as HTTP responses: a status code, and JSON with a reason and a message."""

from __future__ import annotations

import logging
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from clipstack.errors import ClipstackError, ImageError, Reason

_log = logging.getLogger("bentoml.clipstack")

_IMAGE_STATUS = {
    Reason.UNSUPPORTED: 415,
    Reason.UNREADABLE: 422,
    Reason.TRUNCATED: 422,
    Reason.TOO_LARGE: 413,
    Reason.EMPTY: 400,
}


class BusyError(ClipstackError):
    """The queue is full or too slow; the request may succeed after `retry_after` whole seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message, hint=f"Try again in {retry_after} s.")
        self.retry_after = retry_after


class RequestError(Exception):
    """A request that is answered with an error.

    Args:
        status: HTTP status code.
        reason: one or two words for programs.
        message: a sentence for people.
        headers: additional headers of the response.
    """

    def __init__(
        self, status: int, reason: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.headers = headers or {}


def as_request_error(error: Exception) -> RequestError:
    """Any error with a status, a reason and a message; internal errors are logged too."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, ImageError):
        return RequestError(_IMAGE_STATUS.get(error.reason, 422), str(error.reason), str(error))
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
    """The JSON body of the error's response."""
    return {"error": error.message, "reason": error.reason}


def error_response(error: Exception) -> JSONResponse:
    """The response to a request that failed."""
    request_error = as_request_error(error)
    return JSONResponse(as_json(request_error), request_error.status, request_error.headers)
