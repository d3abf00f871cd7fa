"""The box around a circle holds every place of the circle, wherever on the Earth it lies."""

from __future__ import annotations

import random

import pytest

from clipstack.index.filters.syntax import And, Compare, Expression, Field, Or
from clipstack.search.geo import GeoCircle, distance


def in_box(box: Expression, lat: float, lon: float) -> bool:
    match box:
        case And(conditions):
            return all(in_box(condition, lat, lon) for condition in conditions)
        case Or(conditions):
            return any(in_box(condition, lat, lon) for condition in conditions)
        case Compare(Field(name), ">=", float() as least):
            return {"lat": lat, "lon": lon}[name] >= least
        case Compare(Field(name), "<=", float() as most):
            return {"lat": lat, "lon": lon}[name] <= most
        case _:
            raise AssertionError(box)


@pytest.mark.parametrize(
    ("one", "other", "km"),
    [
        ((52.5167, 13.3833), (48.8667, 2.3333), 877.46),  # Berlin, Paris
        ((-36.8485, 174.7633), (-18.1416, 178.4419), 2115),  # Auckland, Suva
        ((0, 0), (0, 180), 20015.1),
        ((90, 0), (-90, 77), 20015.1),
        ((10, 179.5), (10, -179.5), 109.5),
        ((48, 11), (48, 11), 0),
    ],
)
def test_distance(one: tuple[float, float], other: tuple[float, float], km: float) -> None:
    assert distance(*one, *other) == pytest.approx(km, rel=2e-3, abs=1e-9)
    assert distance(*other, *one) == distance(*one, *other)


def test_no_place_of_the_circle_is_outside_the_box() -> None:
    chance = random.Random(1)
    held = 0
    for _ in range(40_000):
        lat = chance.choice([chance.uniform(-90, 90), 90.0, -90.0, 89.9, 0.0])
        lon = chance.choice([chance.uniform(-180, 180), 180.0, -180.0, 179.9])
        near = GeoCircle(lat, lon, 10 ** chance.uniform(-2, 4.4))
        reach = near.km / 111
        other = (
            min(90.0, max(-90.0, lat + chance.uniform(-reach, reach))),
            (lon + chance.uniform(-3 * reach, 3 * reach) + 180) % 360 - 180,
        )
        if near.contains(*other):
            held += 1
            assert in_box(near.expression(), *other), (near, other)
    assert held > 5000


def test_the_box_is_not_much_larger_than_the_circle() -> None:
    near = GeoCircle(48, 11, 50)
    assert in_box(near.expression(), 48.4, 11)
    assert not in_box(near.expression(), 48.46, 11)
    assert not in_box(near.expression(), 48, 11.69)
    assert not in_box(GeoCircle(-17, 179.9, 50).expression(), -17, 179)
    assert not in_box(GeoCircle(-17, 179.9, 50).expression(), -17, -179)


@pytest.mark.parametrize("wrong", [(91, 0, 1), (0, 181, 1), (0, 0, 0), (0, 0, float("inf"))])
def test_no_circle(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="is"):
        GeoCircle(*wrong)
