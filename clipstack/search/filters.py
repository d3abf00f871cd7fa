"""What a picture must be, besides like the query, as a person says it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from clipstack.errors import UsageError
from clipstack.index.base import Hit
from clipstack.index.filters.caret import refused
from clipstack.index.filters.parse import parse
from clipstack.index.filters.syntax import (
    Compare,
    CompareOperator,
    Contains,
    Expression,
    Field,
    conjunction,
    under,
)
from clipstack.index.keywords import check_tag, folded, words
from clipstack.search import dates
from clipstack.search.geo import GeoCircle

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)", re.ASCII)
_WIDEST = 2**63 - 1
"""Numbers in an index have 64 bits."""
_NEAR_HINT = "Write --near LAT,LON,KM: north and east are positive, as in --near 48.14,11.58,20."
_NEAR_PARTS = (
    ("a latitude is -90 to 90", -90.0, 90.0),
    ("a longitude is -180 to 180", -180.0, 180.0),
    ("a radius is more than 0 km", 1e-6, math.inf),
)


@dataclass(frozen=True, slots=True)
class Filters:
    """Conditions that every hit meets.

    Attributes:
        under: an absolute folder; only pictures in it or below.
        since, until: when the picture was taken, in seconds since 1970; `until` is just past
            the end. A picture without a date is left out.
        camera: words of the camera's name, in any case and order.
        format: a name of the table of formats.
        min_width, min_height: pixels of the upright picture.
        tags: each of them is among its tags or keywords, in any case.
        near: where it was taken.
        expr: a condition besides.
    """

    under: str | None = None
    since: int | None = None
    until: int | None = None
    camera: str = ""
    format: str = ""
    min_width: int = 0
    min_height: int = 0
    tags: tuple[str, ...] = ()
    near: GeoCircle | None = None
    expr: Expression | None = None

    @classmethod
    def of(
        cls,
        *,
        under: str | None = None,
        since: str = "",
        until: str = "",
        camera: str = "",
        format: str = "",
        min_width: int = 0,
        min_height: int = 0,
        tags: tuple[str, ...] = (),
        near: str = "",
        expr: str = "",
    ) -> Filters:
        """Filters from what a person types: dates such as 2024-05, `near` as LAT,LON,KM.

        Raises:
            UsageError: one of them is wrong; its hint points at the place.
        """
        start = _span("--since", since)[0] if since else None
        end = _span("--until", until)[1] if until else None
        if start is not None and end is not None and start >= end:
            raise UsageError(f"--until {until} is before --since {since}")
        if camera and not words(camera):
            raise refused("--camera", camera, 0, "there is no word in it")
        for tag in tags:
            check_tag(tag, "--tag")
        if under and not _is_unicode(under):
            raise UsageError(f"--under {under!r}: the folder's name is not UTF-8")
        return cls(
            *(under, start, end, camera, _format(format) if format else "", min_width, min_height),
            *(tuple(tags), _near(near) if near else None, parse(expr) if expr else None),
        )

    def __bool__(self) -> bool:
        return self != Filters()

    def expression(self) -> Expression | None:
        """The condition on a row; None where there is none.

        What it lets through must also pass `keeps`.
        """
        dated = self.since is not None or self.until is not None
        return conjunction(
            self.expr,
            under(self.under) if self.under else None,
            _if("taken_at", ">=", self.since),
            _if("taken_at", "<", self.until),
            _if("taken_at", "!=", 0 if dated else None),
            Contains(Field("camera_words"), words(self.camera)) if self.camera else None,
            _if("format", "==", self.format or None),
            _if("width", ">=", min(self.min_width, _WIDEST) or None),
            _if("height", ">=", min(self.min_height, _WIDEST) or None),
            *(Contains(Field("labels"), (folded(tag),)) for tag in self.tags),
            self.near.expression() if self.near else None,
        )

    def keeps(self, hit: Hit) -> bool:
        """Whether a hit of `expression` meets what no filter can say: the circle."""
        if self.near is None:
            return True
        lat, lon = hit.facts.get("lat"), hit.facts.get("lon")
        return lat is not None and lon is not None and self.near.holds(lat, lon)


def _if(name: str, operator: CompareOperator, value: str | int | None) -> Expression | None:
    return None if value is None else Compare(Field(name), operator, value)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _span(option: str, text: str) -> tuple[int, int]:
    try:
        return dates.span(text)
    except dates.DateError as error:
        raise refused(option, text, error.place, str(error)) from None


def _format(name: str) -> str:
    from clipstack.images.formats import BY_EXTENSION, FORMATS

    by_name = {one.name.lower(): one for one in FORMATS}
    wanted = name.lower().lstrip(".")
    found = by_name.get(wanted) or BY_EXTENSION.get(f".{wanted}")
    if found is None:
        names = ", ".join(one.name for one in FORMATS)
        raise refused("--format", name, 0, "there is no such format", f"There is: {names}.")
    return found.name


def _near(text: str) -> GeoCircle:
    parts = text.split(",")
    if len(parts) != 3:
        place = len(text) if len(parts) < 3 else len(",".join(parts[:3]))
        raise refused("--near", text, place, f"three numbers, not {len(parts)}", _NEAR_HINT)
    place = 0
    numbers: list[float] = []
    for part, (why, least, most) in zip(parts, _NEAR_PARTS, strict=True):
        start = place + len(part) - len(part.lstrip())
        if not _NUMBER.fullmatch(part.strip()):
            raise refused("--near", text, start, f"{part.strip()!r} is no number", _NEAR_HINT)
        if not least <= float(part) <= most:
            raise refused("--near", text, start, why, _NEAR_HINT)
        numbers.append(float(part))
        place += len(part) + 1
    return GeoCircle(*numbers)
