"""Vectors and errors in, JSON or little-endian float32 out, as the caller's Accept header asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from clipstack.service.vectorizer import Embedding
from clipstack.web.error_responses import RequestError, as_json

FINGERPRINT = "Clipstack-Fingerprint"
TRUNCATED = "Clipstack-Truncated"
FAILED = "Clipstack-Failed"
BINARY = "application/octet-stream"

_NOTICE = "the text is longer than the model reads; what is beyond {} tokens was left out"

Result = Embedding | RequestError


def one(request: Request, result: Embedding, fingerprint: str, length: int) -> Response:
    """One vector.

    JSON: {"vector": [...]}, with "truncated": true and a "notice" when a text was cut off. Or
    float32 [dimension], with the header Clipstack-Truncated: true.
    """
    headers = {FINGERPRINT: fingerprint}
    if result.truncated:
        headers[TRUNCATED] = "true"
    if wants_binary(request):
        return Response(_bytes(result.vector), 200, headers, BINARY)
    return JSONResponse(_as_json(result, length), 200, headers)


def many(
    request: Request, results: Sequence[Result], fingerprint: str, dimension: int, length: int
) -> Response:
    """Vectors in order.

    JSON: {"results": [...]}, each item as in `one`, or {"error", "reason", "status"}. Or float32
    [n, dimension] where a failed row is NaN, with the header Clipstack-Failed: its indexes.
    """
    headers = {FINGERPRINT: fingerprint}
    failed = [n for n, result in enumerate(results) if isinstance(result, RequestError)]
    truncated = [n for n, r in enumerate(results) if isinstance(r, Embedding) and r.truncated]
    for name, numbers in ((FAILED, failed), (TRUNCATED, truncated)):
        if numbers:
            headers[name] = ",".join(map(str, numbers))
    if wants_binary(request):
        rows = np.full((len(results), dimension), np.nan, np.float32)
        for row, result in zip(rows, results, strict=True):
            if isinstance(result, Embedding):
                row[:] = result.vector
        return Response(_bytes(rows), 200, headers, BINARY)
    return JSONResponse({"results": [_as_json(r, length) for r in results]}, 200, headers)


def wants_binary(request: Request) -> bool:
    """Whether octets are asked for by name, and not less than JSON."""
    wanted: dict[str, float] = {}
    for choice in request.headers.get("accept", "").lower().split(","):
        kind, *params = (part.strip() for part in choice.split(";"))
        quality = next((p[2:] for p in params if p.startswith("q=")), "1")
        try:
            wanted[kind] = float(quality)
        except ValueError:
            wanted[kind] = 0.0
    binary = wanted.get(BINARY, 0.0)
    return binary > 0 and binary >= wanted.get("application/json", 0.0)


def _as_json(result: Result, length: int) -> dict[str, Any]:
    if isinstance(result, RequestError):
        return {**as_json(result), "status": result.status}
    value: dict[str, Any] = {"vector": result.vector.tolist()}
    if result.truncated:
        value |= {"truncated": True, "notice": _NOTICE.format(length)}
    return value


def _bytes(vectors: Any) -> bytes:
    return np.ascontiguousarray(vectors, "<f4").tobytes()
