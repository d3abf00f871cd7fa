"""The filters of a search: each is declared once, for the command line, the page and the index.

`FILTERS` is the one list of them. The options of `clipstack search`, the form and the JSON of the
page, and the expression that an index evaluates all come from it.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from clipstack.errors import UsageError

if TYPE_CHECKING:
    from clipstack.index.base import Hit
    from clipstack.index.filters.syntax import Compare, CompareOperator, Contains, Expression
    from clipstack.search.geo import GeoCircle

# The help of `clipstack search` reads this module: functions import what they need.
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)", re.ASCII)
_WIDEST = 2**63 - 1
"""Numbers in an index have 64 bits."""
_NEAR_HINT = "Write --near LAT,LON,KM: north and east are positive, as in --near 48.14,11.58,20."
_NEAR_PARTS = (
    ("a latitude is -90 to 90", -90.0, 90.0),
    ("a longitude is -180 to 180", -180.0, 180.0),
    ("a radius is more than 0 km", 1e-6, math.inf),
)


class Control(NamedTuple):
    """The form control of a filter in the page.

    Attributes:
        label: of the control.
        kind: an input for a text, a date or a number, a list to select from, or a text area.
        section: of the form: `short` has two controls in a line, `long` one, `expert` is folded.
        choices: gives the values of a list to select from.
    """

    label: str
    placeholder: str = ""
    kind: Literal["text", "date", "number", "select", "textarea"] = "text"
    section: Literal["short", "long", "expert"] = "short"
    choices: Callable[[], Sequence[str]] = tuple


class Filter(NamedTuple):
    """A condition on pictures that a person can set.

    Attributes:
        name: of the option's parameter, of the member in the page's JSON, and of its control.
        metavar: the name of the value in the help of the option.
        help: the help of the option; it continues "Only pictures that".
        control: of the page.
        parse: takes what was typed and the option's name, and returns the value to translate.
            Raises UsageError, with a hint that points at the mistake.
        translate: takes the value and returns conditions that are all true of a row.
        value_type: of what is typed: a text, a number of at least 1, or a path.
        repeats: whether it can be set several times; `parse` takes one value at a time. In the
            page, commas separate them.
        matches: takes the value and a hit, and returns whether the hit meets the condition. Only
            for a condition that `translate` can't express exactly.
    """

    name: str
    metavar: str
    help: str
    control: Control
    parse: Callable[[Any, str], Any]
    translate: Callable[[Any], tuple[Expression, ...]]
    value_type: type[str] | type[int] | type[Path] = str
    repeats: bool = False
    matches: Callable[[Any, Hit], bool] | None = None

    @property
    def option(self) -> str:
        """The name of the option."""
        return "--" + self.name.replace("_", "-")


@dataclass(frozen=True, slots=True)
class Filters:
    """Conditions that every hit meets: filters and their parsed values."""

    values: tuple[tuple[Filter, Any], ...] = ()

    @classmethod
    def parse(cls, typed: Mapping[str, Any]) -> Filters:
        """Filters from what a person typed.

        Args:
            typed: by the name of a filter its value, or a sequence of values if it repeats. What
                is empty, 0 or None is not set.

        Raises:
            UsageError: a value is wrong; its hint points at the mistake.
        """
        values = [
            (filter, filter.parse(value, filter.option))
            for filter in FILTERS
            if typed.get(filter.name)
            for value in (typed[filter.name] if filter.repeats else [typed[filter.name]])
        ]
        bounds = {filter.name: value for filter, value in values}
        if "since" in bounds and "until" in bounds and bounds["since"] >= bounds["until"]:
            raise UsageError(f"--until {typed['until']} is before --since {typed['since']}")
        return cls(tuple(values))

    def expression(self) -> Expression | None:
        """The condition on a row, or None if there is none. Its hits must also pass `matches`."""
        from clipstack.index.filters.syntax import conjunction

        # The expression that a person wrote comes first.
        values = sorted(self.values, key=lambda pair: pair[0] is not EXPRESSION)
        parts = [part for filter, value in values for part in filter.translate(value)]
        # Dates share a part; its last place counts.
        return conjunction(*reversed(dict.fromkeys(reversed(parts))))

    @property
    def is_approximate(self) -> bool:
        """Whether some hits of `expression` may not meet every filter."""
        return any(filter.matches for filter, _ in self.values)

    def matches(self, hit: Hit) -> bool:
        """Whether a hit of `expression` meets every filter."""
        return all(filter.matches(value, hit) for filter, value in self.values if filter.matches)


def _folder(path: Path | str, option: str) -> str:
    try:
        folder = os.path.normpath(Path(path).expanduser().absolute())
    except (RuntimeError, ValueError) as error:
        raise UsageError(f"{option} {str(path)!r} is no folder: {error}") from None
    try:
        folder.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{option} {folder!r}: the folder's name is not UTF-8") from None
    return folder


def _below(folder: str) -> Expression:
    from clipstack.index.filters.syntax import below_folder

    return below_folder(folder)


def _compare(field: str, operator: CompareOperator, value: str | int) -> Compare:
    from clipstack.index.filters.syntax import Compare, Field

    return Compare(Field(field), operator, value)


def _contains(field: str, values: tuple[str, ...]) -> Contains:
    from clipstack.index.filters.syntax import Contains, Field

    return Contains(Field(field), values)


def _taken(operator: CompareOperator, seconds: int) -> tuple[Expression, ...]:
    """A picture without a date has 0."""
    return _compare("taken_at", operator, seconds), _compare("taken_at", "!=", 0)


def _invalid(option: str, text: str, position: int, reason: str, hint: str = "") -> UsageError:
    from clipstack.index.filters.caret import invalid_value

    return invalid_value(option, text, position, reason, hint)


def _span(text: str, option: str) -> tuple[int, int]:
    from clipstack.search import dates

    try:
        return dates.span(text)
    except dates.DateError as error:
        raise _invalid(option, text, error.position, str(error)) from None


def _camera(name: str, option: str) -> tuple[str, ...]:
    from clipstack.index.derived_fields import split_words

    camera_words = split_words(name)
    if not camera_words:
        raise _invalid(option, name, 0, "there is no word in it")
    return camera_words


def _format(name: str, option: str) -> str:
    from clipstack.images.formats import BY_EXTENSION

    by_name = {known.lower(): known for known in _formats()}
    key = name.lower().lstrip(".")
    if key in by_name:
        return by_name[key]
    if f".{key}" in BY_EXTENSION:
        return BY_EXTENSION[f".{key}"].name
    raise _invalid(
        option, name, 0, "there is no such format", f"There is: {', '.join(_formats())}."
    )


def _formats() -> list[str]:
    from clipstack.images.formats import FORMATS

    return [known.name for known in FORMATS]


def _pixels(number: int, _: str) -> int:
    return min(number, _WIDEST)


def _label(tag: str, option: str) -> str:
    from clipstack.index.derived_fields import check_tag, fold_case

    check_tag(tag, option)
    return fold_case(tag)


def _circle(text: str, option: str) -> GeoCircle:
    from clipstack.search.geo import GeoCircle

    parts = text.split(",")
    if len(parts) != 3:
        position = len(text) if len(parts) < 3 else len(",".join(parts[:3]))
        raise _invalid(option, text, position, f"three numbers, not {len(parts)}", _NEAR_HINT)
    position = 0
    numbers: list[float] = []
    for part, (reason, least, most) in zip(parts, _NEAR_PARTS, strict=True):
        start = position + len(part) - len(part.lstrip())
        if not _NUMBER.fullmatch(part.strip()):
            raise _invalid(option, text, start, f"{part.strip()!r} is no number", _NEAR_HINT)
        if not least <= float(part) <= most:
            raise _invalid(option, text, start, reason, _NEAR_HINT)
        numbers.append(float(part))
        position += len(part) + 1
    return GeoCircle(*numbers)


def _in_circle(circle: GeoCircle, hit: Hit) -> bool:
    lat, lon = hit.facts.get("lat"), hit.facts.get("lon")
    return lat is not None and lon is not None and circle.contains(lat, lon)


def _expression(text: str, _: str) -> Expression:
    from clipstack.index.filters.parse import parse

    return parse(text)


EXPRESSION = Filter(
    "filter",
    "EXPR",
    "this filter is true of: 'width > height and title like \"Rome%\"'.",
    Control("Filter", 'width > height and format == "JPEG"', "textarea", "expert"),
    _expression,
    lambda expression: (expression,),
)
FILTERS = (
    Filter(
        "under",
        "DIR",
        "lie in this folder or below.",
        Control("In the folder", "~/Pictures/2024", section="long"),
        _folder,
        lambda folder: (_below(folder),),
        value_type=Path,
    ),
    Filter(
        "since",
        "DATE",
        "were taken then or later: 2024, 2024-05, 2024-05-01 or 2024-05-01T12:30.",
        Control("Since", "2024-05", "date"),
        lambda text, option: _span(text, option)[0],
        lambda start: _taken(">=", start),
    ),
    Filter(
        "until",
        "DATE",
        "were taken then or before; 2024-05 takes in all of May.",
        Control("Until", "2024-08-31", "date"),
        lambda text, option: _span(text, option)[1],
        lambda end: _taken("<", end),
    ),
    Filter(
        "camera",
        "NAME",
        'were taken with a camera of this name, or these words of it: "canon".',
        Control("Camera"),
        _camera,
        lambda camera_words: (_contains("camera_words", camera_words),),
    ),
    Filter(
        "format",
        "FORMAT",
        "are JPEG, PNG, ...",
        Control("Format", kind="select", choices=_formats),
        _format,
        lambda name: (_compare("format", "==", name),),
    ),
    Filter(
        "min_width",
        "PIXELS",
        "are this wide.",
        Control("Width from", "pixels", "number"),
        _pixels,
        lambda pixels: (_compare("width", ">=", pixels),),
        value_type=int,
    ),
    Filter(
        "min_height",
        "PIXELS",
        "are this high.",
        Control("Height from", "pixels", "number"),
        _pixels,
        lambda pixels: (_compare("height", ">=", pixels),),
        value_type=int,
    ),
    Filter(
        "tag",
        "TAG",
        "have this tag, from `clipstack tag`, or keyword; or several.",
        Control("Tags", "beach, family", section="long"),
        _label,
        lambda label: (_contains("labels", (label,)),),
        repeats=True,
    ),
    Filter(
        "near",
        "LAT,LON,KM",
        "were taken this many km around a place: 48.14,11.58,20.",
        Control("Near", "latitude, longitude, km", section="long"),
        _circle,
        lambda circle: (circle.expression(),),
        matches=_in_circle,
    ),
    EXPRESSION,
)
"""Every filter, in the order of their options."""
