"""Sizes and durations as people read them."""

from __future__ import annotations

import pytest

from clipstack.units import format_bytes, format_duration


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (4096, "4.1 kB"),
        (99_960, "100 kB"),
        (605_000_000, "605 MB"),
        (999_600_000, "1.0 GB"),
        (15_600_000_000, "15.6 GB"),
        (2.5e15, "2500 TB"),
    ],
)
def test_bytes(count: float, text: str) -> None:
    assert format_bytes(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 ms"),
        (0.0451, "45 ms"),
        (0.7, "0.7 s"),
        (8.66, "8.7 s"),
        (9.96, "10 s"),
        (119.4, "119 s"),
        (150, "2.5 min"),
        (3600, "60 min"),
        (8 * 3600, "8.0 h"),
        (3 * 86_400, "3.0 d"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
