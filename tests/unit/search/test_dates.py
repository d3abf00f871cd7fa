"""What a date takes in, from its first second to its last."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from clipstack.search.dates import DateError, span


def at(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp())  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2024", at(2024, 1, 1), at(2025, 1, 1)),
        ("2023", at(2023, 1, 1), at(2024, 1, 1)),
        ("1955-7", at(1955, 7, 1), at(1955, 8, 1)),
        ("2024-02", at(2024, 2, 1), at(2024, 3, 1)),
        ("2023-12", at(2023, 12, 1), at(2024, 1, 1)),
        ("9999-12", at(9999, 12, 1), at(9999, 12, 31) + 86_400),
        ("2024-02-29", at(2024, 2, 29), at(2024, 3, 1)),
        ("2024-05-01 12:30", at(2024, 5, 1, 12, 30), at(2024, 5, 1, 12, 31)),
        ("2024-05-01T12:30:59", at(2024, 5, 1, 12, 30, 59), at(2024, 5, 1, 12, 31)),
        ("2024-05-01T12:30Z", at(2024, 5, 1, 12, 30), at(2024, 5, 1, 12, 31)),
        ("2024-05-01T01:30-0330", at(2024, 5, 1, 5), at(2024, 5, 1, 5, 1)),
        ("2024-05-01T01:30:00+02:00", at(2024, 4, 30, 23, 30), at(2024, 4, 30, 23, 30, 1)),
    ],
)
def test_span(text: str, start: int, end: int) -> None:
    assert span(text) == (start, end)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        *(("", 0), ("24", 0), ("0000", 0), ("2024-00", 5), ("2024-13-01", 5), ("2024/05", 4)),
        *(("2023-02-29", 8), ("2024-05-00", 8), ("2024-05-01T24:00", 11), ("2024-05-01T10", 10)),
        *(("2024-05-01T10:60", 14), ("2024-05-01T10:00+25:00", 16), ("May 2024", 0)),
        *(("2024-05-01 ", 10), ("２０２４", 0)),
    ],
)
def test_no_date(text: str, place: int) -> None:
    with pytest.raises(DateError) as caught:
        span(text)
    assert caught.value.position == place
