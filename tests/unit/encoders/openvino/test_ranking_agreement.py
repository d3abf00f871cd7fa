"""When an engine ranks as another does."""

from __future__ import annotations

import numpy as np
import pytest

from clipstack.encoders.openvino.ranking_agreement import compare_rankings, lowest_agreement


def vectors(count=400, dimension=64, seed=1):
    return np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)


def with_noise(of, share, seed=2):
    noise = np.random.default_rng(seed).normal(size=of.shape).astype(np.float32)
    return of + share * noise


def test_the_same_vectors_agree_wholly_whatever_their_length():
    reference = vectors()
    agreement = lowest_agreement(
        reference, reference * np.linspace(1, 9, len(reference), dtype=np.float32)[:, None]
    )
    assert (agreement.overlap, agreement.recall, agreement.first, agreement.tied) == (1, 1, 1, 0)
    assert agreement.queries == len(reference)
    assert agreement.accepted


def test_noise_is_refused_and_a_little_is_not():
    reference = vectors()
    assert lowest_agreement(reference, with_noise(reference, 0.005)).accepted
    for share in (0.3, 3.0):
        assert not lowest_agreement(reference, with_noise(reference, share)).accepted
    assert lowest_agreement(reference, vectors(seed=9)).overlap < 0.1


def test_figures_are_what_they_say():
    """Ten pictures in a row on a circle, two hits each, and one that changes its place."""
    angles = np.radians(np.array([0, 1, 2.1, 3.3, 4.6, 6, 7.5, 9.1, 10.8, 12.6]))
    reference = np.stack([np.cos(angles), np.sin(angles)], 1)
    angles[0] = np.radians(40)  # no longer near to 1, 2 and 3
    other = np.stack([np.cos(angles), np.sin(angles)], 1)
    agreement = compare_rankings(reference, other, other, 2)
    # 0: wants 1 2, gets 9 8. 1: wants 0 2, gets 2 3. 2: wants 1 3 (0 is third). Others as before.
    assert agreement.overlap == pytest.approx((0 + 1 + 8 * 2) / 20)
    assert agreement.recall == pytest.approx(8 / 10)
    assert agreement.first == pytest.approx(8 / 10)


def test_a_query_from_the_unquantised_tower_counts_too():
    """Vectors turned all alike rank alike among themselves, and not against others."""
    reference = vectors()
    turned = reference @ np.linalg.qr(vectors(64, 64, seed=5))[0]
    assert compare_rankings(unit(reference), unit(turned), unit(turned), 10).overlap > 0.999
    assert not lowest_agreement(reference, turned).accepted


def unit(of):
    return of / np.linalg.norm(of, axis=1, keepdims=True)


def test_doubles_stand_for_each_other():
    reference = np.repeat(vectors(100), 2, axis=0)
    shuffled = reference.copy()
    shuffled[::2], shuffled[1::2] = reference[1::2], reference[::2]
    agreement = lowest_agreement(reference, shuffled, 11)  # the other one and five pairs
    assert (agreement.overlap, agreement.recall, agreement.first) == (1, 1, 1)


def test_a_model_that_tells_nothing_apart_is_not_accepted():
    same = np.ones((300, 8), np.float32)
    agreement = lowest_agreement(same, same)
    assert (agreement.tied, agreement.queries) == (1, 0)
    assert not agreement.accepted
