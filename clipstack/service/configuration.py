"""`CLIPSTACK_*` variables in, the service's checked options out."""

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
    """How the service serves; each field is read from `CLIPSTACK_SERVICE_<FIELD>`.

    Attributes:
        token: what callers must send as `Authorization: Bearer <token>`; "" lets everyone in.
        workers: processes, each with its own copy of the model.
        max_bytes: of one request's body.
        max_pixels: of one picture, as `images.decode.Limits` counts them.
        max_items: pictures or texts in one request.
        max_text: bytes of one text in UTF-8.
        batch: most pictures, or texts, encoded at once.
        decoders: threads that decode, 0 for one per core, at most 4.
        queue: most pictures and texts taken in at one time; more are told to come back.
        memory: most bytes of bodies held at one time; more are told to come back.
        wait: seconds a picture or text may wait for its turn.
        patience: seconds a caller may take to send a body.
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
    def bodies(self) -> BodyLimits:
        """What bodies may take."""
        return BodyLimits(self.max_bytes, self.memory, self.patience)

    @property
    def threads(self) -> int:
        """Threads that decode."""
        return self.decoders or min(4, os.cpu_count() or 1)


def from_environment(environment: Mapping[str, str] = os.environ) -> ServiceConfiguration:
    """The options in force.

    Raises:
        UsageError: a variable holds no valid value.
    """
    defaults = ServiceConfiguration()
    values: dict[str, str | int | float] = {}
    for field in fields(ServiceConfiguration):
        variable = PREFIX + field.name.upper()
        given = environment.get(variable, "").strip()
        default = getattr(defaults, field.name)
        if not given:
            continue
        if isinstance(default, str):
            values[field.name] = given
        elif isinstance(default, int):
            values[field.name] = _number(variable, given, int, 0 if not default else 1)
        else:
            values[field.name] = _number(variable, given, float, 0.001)
    options = ServiceConfiguration(**values)  # type: ignore[arg-type]
    if options.token and not _is_visible(options.token):
        raise UsageError(f"{PREFIX}TOKEN may hold visible ASCII characters only")
    if options.max_items > options.queue:
        raise UsageError(f"{PREFIX}QUEUE must be at least {PREFIX}MAX_ITEMS")
    return options


def _is_visible(text: str) -> bool:
    return all(33 <= ord(letter) < 127 for letter in text)


def _number(variable: str, given: str, parse: Callable[[str], Number], least: Number) -> Number:
    try:
        number = parse(given)
    except ValueError:
        number = least - 1
    if not least <= number < float("inf"):
        raise UsageError(f"{variable} must be a number of at least {least}, got {given!r}")
    return number
