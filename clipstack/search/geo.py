"""A circle on the Earth: a filter for the box around it, and whether a place lies in it."""

from __future__ import annotations

from dataclasses import dataclass
from math import asin, cos, degrees, hypot, isfinite, pi, radians, sin

from clipstack.index.filters.syntax import And, Compare, Expression, Field, Or

# IUGG's mean radius.
EARTH_KM = 6371.0088
_HALF_ROUND = pi * EARTH_KM
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class GeoCircle:
    """Places at most `km` kilometres from a point, in degrees: north and east are positive."""

    lat: float
    lon: float
    km: float

    def __post_init__(self) -> None:
        if not (abs(self.lat) <= 90 and abs(self.lon) <= 180):
            raise ValueError("a latitude is -90 to 90, a longitude -180 to 180")
        if not (self.km > 0 and isfinite(self.km)):
            raise ValueError("the radius is more than 0 km")

    def expression(self) -> Expression:
        """A filter for the box around the circle, which has every place of it and some more.

        The meridians that touch the circle are asin(sin(r) / cos(lat)) away, r its angular
        radius; one that holds a pole has all of them.

        Source: J. P. Matuschek, "Finding Points Within a Distance of a Latitude/Longitude Using
        Bounding Coordinates", section 3.
        """
        angle = min(self.km, _HALF_ROUND) / EARTH_KM
        up, down = self.lat + degrees(angle), self.lat - degrees(angle)
        parts: list[Expression] = [*_between("lat", max(-90.0, down), min(90.0, up))]
        if up < 90 and down > -90:
            reach = degrees(asin(min(1.0, sin(angle) / cos(radians(self.lat)))))
            west, east = self.lon - reach, self.lon + reach
            if west <= -180:
                parts.append(Or((_at_least("lon", west + 360), _at_most("lon", east))))
            elif east >= 180:
                parts.append(Or((_at_least("lon", west), _at_most("lon", east - 360))))
            else:
                parts += _between("lon", west, east)
        return And(tuple(parts))

    def holds(self, lat: float, lon: float) -> bool:
        """Whether a place lies in the circle."""
        return distance(self.lat, self.lon, lat, lon) <= self.km


def distance(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """Kilometres between two places on a sphere, 0.5 % off at most.

    Source: R. W. Sinnott, "Virtues of the Haversine", Sky and Telescope 68 (1984), 159.
    """
    up, along = radians(other_lat - lat) / 2, radians(other_lon - lon) / 2
    across = cos(radians(lat)) * cos(radians(other_lat))
    chord = hypot(sin(up), across**0.5 * sin(along))
    return 2 * EARTH_KM * asin(min(1.0, chord))


def _between(name: str, least: float, most: float) -> tuple[Expression, Expression]:
    return _at_least(name, least), _at_most(name, most)


def _at_least(name: str, value: float) -> Expression:
    return Compare(Field(name), ">=", round(value - 10**-_DIGITS, _DIGITS))


def _at_most(name: str, value: float) -> Expression:
    return Compare(Field(name), "<=", round(value + 10**-_DIGITS, _DIGITS))
