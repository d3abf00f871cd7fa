"""Dates as people write them, as spans of seconds."""

from __future__ import annotations

import re
from calendar import isleap, monthrange
from datetime import UTC, datetime, timedelta, timezone

_DATE = re.compile(
    r"(?P<year>\d{4})(-(?P<month>\d\d?)(-(?P<day>\d\d?)"
    r"([T ](?P<hour>\d\d?):(?P<minute>\d\d)(:(?P<second>\d\d))?(?P<zone>Z|[+-]\d\d:?\d\d)?)?)?)?",
    re.ASCII,
)
_RANGES = {"month": (1, 12), "hour": (0, 23), "minute": (0, 59), "second": (0, 59)}


class DateError(ValueError):
    """The text is not a date.

    Args:
        position: of the mistake in the text, from 0.
    """

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(reason)
        self.position = position


def span(text: str) -> tuple[int, int]:
    """The start and the end of a year, month, day, minute or second, in seconds since 1970.

    A date without an offset is in UTC, as are the EXIF times without one.

    Args:
        text: 2024, 2024-05, 2024-05-01, 2024-05-01T12:30, 2024-05-01 12:30:15+02:00 and so on.

    Returns:
        The first second, and the one after the last.

    Raises:
        DateError: it has none of these forms, or there is no such date.
    """
    match = _DATE.match(text)
    if match is None or match.end() != len(text):
        raise DateError(
            "write it like 2024, 2024-05 or 2024-05-01T12:30", match.end() if match else 0
        )
    for name, (least, most) in _RANGES.items():
        if match[name] is not None and not least <= int(match[name]) <= most:
            raise DateError(f"there is no {name} {match[name]}", match.start(name))
    zone = match["zone"] or "Z"
    if zone != "Z" and (int(zone[1:3]) > 23 or int(zone[-2:]) > 59):
        raise DateError(f"there is no offset {zone}", match.start("zone"))
    year, month = int(match["year"]), int(match["month"] or 1)
    if year < 1:
        raise DateError("there is no year 0", match.start("year"))
    day, hour, minute, second = (
        int(match[name] or least)
        for name, least in (("day", 1), ("hour", 0), ("minute", 0), ("second", 0))
    )
    try:
        start = datetime(year, month, day, hour, minute, second, tzinfo=_zone(zone))
    except ValueError:
        raise DateError(f"that month has no day {match['day']}", match.start("day")) from None
    first = int(start.timestamp())
    return first, first + _seconds(match, start)


def _seconds(match: re.Match[str], start: datetime) -> int:
    for name, seconds in (("second", 1), ("minute", 60), ("day", 86_400)):
        if match[name] is not None:
            return seconds
    if match["month"] is not None:
        return 86_400 * monthrange(start.year, start.month)[1]
    return 86_400 * (366 if isleap(start.year) else 365)


def _zone(text: str) -> timezone:
    if text == "Z":
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-offset if text[0] == "-" else offset)
