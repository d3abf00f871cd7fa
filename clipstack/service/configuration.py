"""The service's configuration, from `CLIPSTACK_SERVICE_*` environment variables."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TypeVar

from clipstack.errors import UsageError
from clipstack.web.body_limits import BodyLimits

PREFIX = "CLIPSTACK_SERVICE_"

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class ServiceConfiguration:
    """Limits and sizes of the service; each field is read from `CLIPSTACK_SERVICE_<FIELD>`.

    Attributes:
        token: what clients must send as `Authorization: Bearer <token>`; "" lets everyone in.
        workers: processes, each with its own copy of the model.
        max_bytes: bytes of one request body.
        max_pixels: pixels of one picture, as `images.decode.Limits` counts them.
        max_items: pictures or texts in one request.
        max_text: bytes of one text in UTF-8.
        batch: largest number of pictures, or texts, encoded at once.
        decoders: threads that decode, 0 for one per core, at most 4.
        queue: pictures and texts accepted at one time; further requests are answered with 503.
        memory: bytes of bodies held at one time; further requests are answered with 503.
        wait: seconds that a picture or text may wait for its batch.
        patience: seconds until a body must begin to arrive.
    """

    token: str = ""
    workers: int = 1
    max_bytes: int = 64 << 20
    max_pixels: int = 128_000_000
    max_items: int = 256
    max_text: int = 256 << 10
    batch: int = 32
    decoders: int = 0
    queue: int = 512
    memory: int = 512 << 20
    wait: float = 20.0
    patience: float = 30.0

    @property
    def body_limits(self) -> BodyLimits:
        """Limits on request bodies."""
        return BodyLimits(self.max_bytes, self.memory, self.patience)

    @property
    def decode_threads(self) -> int:
        """Number of threads that decode."""
        return self.decoders or min(4, os.cpu_count() or 1)


def from_environment(environment: Mapping[str, str] = os.environ) -> ServiceConfiguration:
    """The configuration in force.

    Raises:
        UsageError: a variable holds no valid value.
    """
    defaults = ServiceConfiguration()
    values: dict[str, str | int | float] = {}
    for field in fields(ServiceConfiguration):
        variable = PREFIX + field.name.upper()
        text = environment.get(variable, "").strip()
        default = getattr(defaults, field.name)
        if not text:
            continue
        if isinstance(default, str):
            values[field.name] = text
        elif isinstance(default, int):
            values[field.name] = _number(variable, text, int, 0 if not default else 1)
        else:
            values[field.name] = _number(variable, text, float, 0.001)
    configuration = ServiceConfiguration(**values)  # type: ignore[arg-type]
    if configuration.token and not _is_visible_ascii(configuration.token):
        raise UsageError(f"{PREFIX}TOKEN may hold visible ASCII characters only")
    if configuration.max_items > configuration.queue:
        raise UsageError(f"{PREFIX}QUEUE must be at least {PREFIX}MAX_ITEMS")
    return configuration


def _is_visible_ascii(text: str) -> bool:
    return all(33 <= ord(character) < 127 for character in text)


def _number(variable: str, text: str, parse: Callable[[str], Number], minimum: Number) -> Number:
    try:
        number = parse(text)
    except ValueError:
        number = minimum - 1
    if not minimum <= number < float("inf"):
        raise UsageError(f"{variable} must be a number of at least {minimum}, got {text!r}")
    return number
