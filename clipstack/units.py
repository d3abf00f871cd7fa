"""Sizes and durations as people read them."""

from __future__ import annotations

_BYTES = ("bytes", "kB", "MB", "GB", "TB")
_SECONDS = (("d", 86_400), ("h", 3600), ("min", 60))


def format_bytes(count: float) -> str:
    """Bytes in decimal units: "612 bytes", "4.1 kB", "605 MB"."""
    power = 0
    while count >= 999.5 and power < len(_BYTES) - 1:
        count, power = count / 1000, power + 1
    decimals = 1 if power and count < 99.95 else 0
    return f"{count:.{decimals}f} {_BYTES[power]}"


def format_duration(seconds: float) -> str:
    """Seconds in one unit: "45 ms", "8.7 s", "17 s", "2.5 min"."""
    value, unit = max(0.0, seconds), "s"
    if value < 0.0995:
        return f"{value * 1000:.0f} ms"
    for name, length in _SECONDS:
        if value >= 2 * length:
            value, unit = value / length, name
            break
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"
