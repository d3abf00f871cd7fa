"""The service's OpenAPI document."""

from __future__ import annotations

from typing import Any

from clipstack import __version__
from clipstack.service.responses import BINARY, FAILED, FINGERPRINT, TRUNCATED
from clipstack.web.request_bodies import NPY

Json = dict[str, Any]

_ERRORS = {
    400: "Empty, no valid JSON, multipart body or text, or cut off",
    401: "No token, or a wrong one",
    408: "The body did not arrive in time",
    413: "Body, picture or text too large",
    415: "Not a picture, or a content type that is not read here",
    422: "A picture that is truncated or broken, pixels of another shape, or too many items",
    503: "Busy, or the model is still being loaded: try again after Retry-After seconds",
}


def document(max_items: int) -> Json:
    """The OpenAPI 3.1 document for /docs.json.

    Args:
        max_items: pictures or texts that one request may have.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "clip_image_vectorizer",
            "version": __version__,
            "description": "CLIP vectors of pictures and texts, as the model gives them: "
            "projected, not normalised. `Accept: application/octet-stream` returns them as "
            "little-endian float32.",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": "vectors"}, {"name": "service"}],
        "paths": {
            "/vectorize": {"post": _image("vectorize")},
            "/vectorize_image": {"post": _image("vectorize_image")},
            "/vectorize_images": {"post": _images(max_items)},
            "/vectorize_text": {"post": _text()},
            "/vectorize_texts": {"post": _texts(max_items)},
            "/model": {"get": _model()},
            "/livez": {"get": _plain_text("Alive")},
            "/readyz": {
                "get": _plain_text("Ready: the model has encoded something", may_be_unready=True)
            },
            "/metrics": {"get": _plain_text("Metrics for Prometheus", token=True)},
        },
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _image(name: str) -> Json:
    picture = {"schema": {"type": "string", "format": "binary", "minLength": 1}}
    content = dict.fromkeys(("image/*", BINARY), picture)
    content["multipart/form-data"] = _multipart(
        {"type": "string", "format": "binary", "minLength": 1}, "image"
    )
    return _post(
        name,
        "The vector of a picture, in any format and whatever its content type says",
        content,
        _ok("One", binary="float32 [dimension]"),
        (400, 413, 415, 422),
    )


def _images(max_items: int) -> Json:
    images: Json = {"type": "array", "items": {"type": "string", "format": "binary"}}
    images |= {"minItems": 1, "maxItems": max_items}
    return _post(
        "vectorize_images",
        "The vectors of many pictures: every part is one, its name does not matter. Pixels that "
        f"have the model's shape already may come as {NPY}: uint8 [n, height, width, 3]",
        {
            "multipart/form-data": _multipart(images, "images"),
            NPY: {"schema": {"type": "string", "format": "binary", "minLength": 1}},
        },
        _ok("Many", binary="float32 [n, dimension], NaN for what failed"),
        (400, 413, 415, 422),
    )


def _text() -> Json:
    text_object = {"type": "object", "required": ["text"], "properties": {"text": _text_schema()}}
    return _post(
        "vectorize_text",
        "The vector of a text; one longer than the model reads is cut off, and the answer says so",
        {"text/plain": {"schema": _text_schema()}, "application/json": {"schema": text_object}},
        _ok("One", binary="float32 [dimension]"),
        (400, 413, 415),
    )


def _texts(max_items: int) -> Json:
    description = "A text; an item of another type gets an error of its own"
    items = {"type": "array", "items": {"description": description}, "maxItems": max_items}
    texts_object = {"type": "object", "required": ["texts"], "properties": {"texts": items}}
    return _post(
        "vectorize_texts",
        "The vectors of many texts",
        {"application/json": {"schema": {"oneOf": [items, texts_object]}}},
        _ok("Many", binary="float32 [n, dimension], NaN for what failed"),
        (400, 413, 415, 422),
    )


def _model() -> Json:
    return {
        "operationId": "model",
        "tags": ["service"],
        "summary": "The model that gives the vectors",
        "security": [{"token": []}, {}],
        "responses": {"200": _json("Name, engine and limits", "Model"), **_errors((401, 503))},
    }


def _plain_text(summary: str, *, token: bool = False, may_be_unready: bool = False) -> Json:
    responses: Json = {"200": {"description": summary, "content": {"text/plain": {}}}}
    if may_be_unready:
        responses["503"] = {"description": "Not yet", "content": {"text/plain": {}}}
    if token:
        responses |= _errors((401,))
    operation = {"tags": ["service"], "summary": summary, "responses": responses}
    return operation | ({"security": [{"token": []}, {}]} if token else {})


def _post(name: str, summary: str, content: Json, ok: Json, errors: tuple[int, ...]) -> Json:
    return {
        "operationId": name,
        "tags": ["vectors"],
        "summary": summary,
        "security": [{"token": []}, {}],
        "requestBody": {"required": True, "content": content},
        "responses": {"200": ok, **_errors((*errors, 401, 408, 503))},
    }


def _multipart(schema: Json, name: str) -> Json:
    parts = {"type": "object", "required": [name], "properties": {name: schema}}
    return {"schema": {**parts, "additionalProperties": False}}


def _text_schema() -> Json:
    return {"type": "string", "minLength": 1, "pattern": r"\S"}


def _ok(schema: str, *, binary: str) -> Json:
    response = _json("Vectors", schema)
    response["content"][BINARY] = {"schema": {"type": "string", "description": binary}}
    response["headers"] = {
        FINGERPRINT: {
            "description": "Equal for models that give the same vectors",
            "schema": {"type": "string"},
        },
        TRUNCATED: {"description": "Texts that were cut off", "schema": {"type": "string"}},
        FAILED: {"description": "Indexes of items that failed", "schema": {"type": "string"}},
    }
    return response


def _json(description: str, schema: str) -> Json:
    reference = {"$ref": f"#/components/schemas/{schema}"}
    return {"description": description, "content": {"application/json": {"schema": reference}}}


def _errors(codes: tuple[int, ...]) -> Json:
    responses = {str(code): _json(_ERRORS[code], "Error") for code in sorted(codes)}
    if "503" in responses:
        seconds = {"description": "Seconds", "schema": {"type": "string", "pattern": "^[0-9]+$"}}
        responses["503"]["headers"] = {"Retry-After": seconds}
    return responses


def _schemas() -> Json:
    text, number = {"type": "string"}, {"type": "integer", "minimum": 1}
    vector = {
        "type": "object",
        "required": ["vector"],
        "properties": {
            "vector": {"type": "array", "items": {"type": "number"}, "minItems": 1},
            "truncated": {"const": True},
            "notice": text,
        },
    }
    error = {
        "type": "object",
        "required": ["error", "reason"],
        "properties": {"error": text, "reason": text},
    }
    failed = {
        "type": "object",
        "required": ["error", "reason", "status"],
        "properties": {"error": text, "reason": text, "status": {"type": "integer"}},
    }
    text_fields = ("id", "revision", "fingerprint", "engine", "precision", "family", "clipstack")
    return {
        "One": vector,
        "Many": {
            "type": "object",
            "required": ["results"],
            "properties": {"results": {"type": "array", "items": {"anyOf": [vector, failed]}}},
        },
        "Error": error,
        "Model": {
            "type": "object",
            "required": [*text_fields, "dimension", "geometry", "limits"],
            "properties": {
                **dict.fromkeys(text_fields, text),
                "dimension": number,
                "geometry": {"type": "object"},
                "limits": {"type": "object", "additionalProperties": number},
            },
        },
    }
