"""Vectors as JSON or little-endian float32, whichever the Accept header asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from clipstack.encoders.base import ModelInfo
from clipstack.service.vectorizer import Embedding
from clipstack.web.error_responses import RequestError, as_json

FINGERPRINT = "Clipstack-Fingerprint"
TRUNCATED = "Clipstack-Truncated"
FAILED = "Clipstack-Failed"
BINARY = "application/octet-stream"

_NOTICE = "the text is longer than the model reads; what is beyond {} tokens was left out"

Outcome = Embedding | RequestError


def single(request: Request, embedding: Embedding, info: ModelInfo) -> Response:
    """The response with one vector.

    JSON: {"vector": [...]}, with "truncated": true and a "notice" when a text was cut off. Or
    float32 [dimension], with the header Clipstack-Truncated: true.
    """
    headers = {FINGERPRINT: info.fingerprint}
    if embedding.truncated:
        headers[TRUNCATED] = "true"
    if wants_binary(request):
        return Response(_bytes(embedding.vector), 200, headers, BINARY)
    return JSONResponse(_as_json(embedding, info.context_length), 200, headers)


def batch(request: Request, outcomes: Sequence[Outcome], info: ModelInfo) -> Response:
    """The response with several vectors, in order.

    JSON: {"results": [...]}, each item as in `single`, or {"error", "reason", "status"}. Or float32
    [n, dimension] where a failed row is NaN, with the header Clipstack-Failed: its indexes.
    """
    headers = {FINGERPRINT: info.fingerprint}
    failed = [n for n, outcome in enumerate(outcomes) if isinstance(outcome, RequestError)]
    truncated = [n for n, o in enumerate(outcomes) if isinstance(o, Embedding) and o.truncated]
    for name, indexes in ((FAILED, failed), (TRUNCATED, truncated)):
        if indexes:
            headers[name] = ",".join(map(str, indexes))
    if wants_binary(request):
        rows = np.full((len(outcomes), info.dimension), np.nan, np.float32)
        for row, outcome in zip(rows, outcomes, strict=True):
            if isinstance(outcome, Embedding):
                row[:] = outcome.vector
        return Response(_bytes(rows), 200, headers, BINARY)
    items = [_as_json(outcome, info.context_length) for outcome in outcomes]
    return JSONResponse({"results": items}, 200, headers)


def wants_binary(request: Request) -> bool:
    """Whether the Accept header names octets, with a quality no lower than that of JSON."""
    qualities: dict[str, float] = {}
    for choice in request.headers.get("accept", "").lower().split(","):
        media_type, *params = (part.strip() for part in choice.split(";"))
        quality = next((p[2:] for p in params if p.startswith("q=")), "1")
        try:
            qualities[media_type] = float(quality)
        except ValueError:
            qualities[media_type] = 0.0
    binary = qualities.get(BINARY, 0.0)
    return binary > 0 and binary >= qualities.get("application/json", 0.0)


def _as_json(outcome: Outcome, context_length: int) -> dict[str, Any]:
    if isinstance(outcome, RequestError):
        return {**as_json(outcome), "status": outcome.status}
    value: dict[str, Any] = {"vector": outcome.vector.tolist()}
    if outcome.truncated:
        value |= {"truncated": True, "notice": _NOTICE.format(context_length)}
    return value


def _bytes(vectors: Any) -> bytes:
    return np.ascontiguousarray(vectors, "<f4").tobytes()
