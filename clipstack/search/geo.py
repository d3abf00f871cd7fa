"""Circles on the Earth, and distances."""

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
    """Points at most `km` kilometres from a point, in degrees: north and east are positive."""

    lat: float
    lon: float
    km: float

    def __post_init__(self) -> None:
        if not (abs(self.lat) <= 90 and abs(self.lon) <= 180):
            raise ValueError("a latitude is -90 to 90, a longitude -180 to 180")
        if not (self.km > 0 and isfinite(self.km)):
            raise ValueError("the radius is more than 0 km")

    def expression(self) -> Expression:
        """A condition for the box around the circle, which contains more than the circle.

        The meridians that touch the circle are asin(sin(r) / cos(lat)) away, r being its angular
        radius; a circle around a pole crosses all of them.

        Source: J. P. Matuschek, "Finding Points Within a Distance of a Latitude/Longitude Using
        Bounding Coordinates", section 3.
        """
        angle = min(self.km, _HALF_ROUND) / EARTH_KM
        north, south = self.lat + degrees(angle), self.lat - degrees(angle)
        parts: list[Expression] = [*_between("lat", max(-90.0, south), min(90.0, north))]
        if north < 90 and south > -90:
            reach = degrees(asin(min(1.0, sin(angle) / cos(radians(self.lat)))))
            west, east = self.lon - reach, self.lon + reach
            if west <= -180:
                parts.append(Or((_at_least("lon", west + 360), _at_most("lon", east))))
            elif east >= 180:
                parts.append(Or((_at_least("lon", west), _at_most("lon", east - 360))))
            else:
                parts += _between("lon", west, east)
        return And(tuple(parts))

    def contains(self, lat: float, lon: float) -> bool:
        """Whether a point lies in the circle."""
        return distance(self.lat, self.lon, lat, lon) <= self.km


def distance(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """Kilometres between two points on a sphere; the Earth's differ by 0.5 % at most.

    Source: R. W. Sinnott, "Virtues of the Haversine", Sky and Telescope 68 (1984), 159.
    """
    north, east = radians(other_lat - lat) / 2, radians(other_lon - lon) / 2
    narrowing = cos(radians(lat)) * cos(radians(other_lat))
    half_chord = hypot(sin(north), narrowing**0.5 * sin(east))
    return 2 * EARTH_KM * asin(min(1.0, half_chord))


def _between(name: str, least: float, most: float) -> tuple[Expression, Expression]:
    return _at_least(name, least), _at_most(name, most)


def _at_least(name: str, value: float) -> Expression:
    return Compare(Field(name), ">=", round(value - 10**-_DIGITS, _DIGITS))


def _at_most(name: str, value: float) -> Expression:
    return Compare(Field(name), "<=", round(value + 10**-_DIGITS, _DIGITS))
