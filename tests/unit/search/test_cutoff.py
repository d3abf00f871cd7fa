"""What is in a collection and what is not, told apart by the scores of a query."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from clipstack import encoders
from clipstack.encoders.models import catalog
from clipstack.search import background_phrases
from clipstack.search.cutoff import Cutoff, background_queries, boundary, comparable, soft_maximum
from tests.concepts import Case, Made, Scenes
from tests.notes import Notes

METRICS = ["COSINE", "IP", "L2"]


@pytest.fixture(scope="module")
def shapes():
    return encoders.load(catalog.describe(catalog.resolve("shapes", download=False)))


@pytest.fixture(scope="module")
def scenes(shapes) -> Scenes:
    return Scenes(shapes, 3000)


def _best_scores(case: Case, metric: str, count: int) -> np.ndarray:
    """As Milvus gives them."""
    vectors, query = case.vectors.astype(np.float64), case.query.astype(np.float64)
    if metric == "L2":
        return np.sort(((vectors - query) ** 2).sum(axis=1))[:count]
    if metric == "COSINE":
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        query = query / np.linalg.norm(query)
    return np.sort(vectors @ query)[::-1][:count]


def _told_apart(cases: Iterable[Case], phrases: np.ndarray, metric: str) -> tuple[float, float]:
    """The share of the present that are found, and of the absent that are not."""
    right: dict[bool, list[bool]] = {True: [], False: []}
    cutoff, of = None, None
    for case in cases:
        if case.vectors is not of:
            of = case.vectors
            cutoff = Cutoff(of[:2000], len(of), phrases, metric)
        far = cutoff.significance(case.query, _best_scores(case, metric, cutoff.best))
        right[case.present].append((far[0] > 0) == case.present)
    assert len(right[True]) == len(right[False]) == 100
    return float(np.mean(right[True])), float(np.mean(right[False]))


@pytest.mark.parametrize("metric", ["COSINE", "L2"])
def test_a_hundred_concepts_that_are_there_and_a_hundred_that_are_not(
    shapes, scenes: Scenes, metric: str
) -> None:
    phrases = background_phrases.vectors(shapes.info, lambda: shapes)
    cases = scenes.cases(20, (200, 500, 1000), seed=20)
    present, absent = _told_apart(cases, phrases, metric)
    assert present >= 0.9
    assert absent >= 0.9


def test_the_same_of_made_vectors() -> None:
    made = Made()
    phrases, words = made.background()
    cases = (case for rows in (200, 600, 2000, 6000) for case in made.cases(rows, words, 25))
    present, absent = _told_apart(cases, phrases, "COSINE")
    assert present >= 0.9
    assert absent >= 0.9


@pytest.mark.parametrize("metric", METRICS)
def test_better_hits_stand_out_more(metric: str) -> None:
    made = Made()
    phrases, words = made.background()
    case = next(iter(made.cases(500, words)))
    cutoff = Cutoff(case.vectors, 500, phrases, metric)
    far = cutoff.significance(case.query, _best_scores(case, metric, cutoff.best))
    assert len(far) == cutoff.best
    assert (np.diff(far) <= 0).all()
    assert np.isfinite(far).all()


@pytest.mark.parametrize("metric", METRICS)
def test_a_longer_query_changes_nothing_but_the_scale(metric: str) -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    query = np.random.default_rng(1).normal(size=8).astype(np.float32)
    short, long = (
        comparable(_best_scores(Case(vectors, q, True, 1, ""), metric, 50), q, metric)
        for q in (query, 3 * query)
    )
    if metric == "L2":  # a longer query prefers longer vectors
        lengths = (vectors.astype(np.float64) ** 2).sum(axis=1)
        unit = query / np.linalg.norm(query)
        expected = np.sort(vectors @ unit - lengths / (6 * np.linalg.norm(query)))[::-1]
        np.testing.assert_allclose(long, expected, rtol=1e-4, atol=1e-5)
    else:
        np.testing.assert_allclose(short, long, rtol=1e-5)


def test_no_hits_and_too_few_rows() -> None:
    some = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    assert len(Cutoff(some, 40, some, "COSINE").significance(some[0], np.array([]))) == 0
    for sample, phrases in ((some[:5], some), (some, some[:5]), (some[:0], some)):
        with pytest.raises(ValueError, match="too few"):
            Cutoff(sample, len(sample), phrases, "COSINE")


def test_equal_vectors_are_no_error() -> None:
    same = np.ones((40, 8), np.float32)
    far = Cutoff(same, 40, same, "COSINE").significance(same[0], np.ones(40))
    assert np.isfinite(far).all()


def test_soft_maximum_lies_between_the_best_and_their_mean() -> None:
    scores = np.array([[0.1, 0.2, 0.9, 0.3]])
    assert soft_maximum(scores, 1e-3, 1)[0] == pytest.approx(0.9)
    assert 0.6 < soft_maximum(scores, 0.1, 2)[0] < 0.9
    assert soft_maximum(scores, 0.1, 4)[0] < soft_maximum(scores, 0.1, 2)[0]
    fewer = soft_maximum(scores[:, 2:], 0.1, 4)[0]
    assert fewer == pytest.approx(soft_maximum(scores, 0.1, 4)[0], abs=1e-3)


def test_the_boundary_lies_between_two_groups_and_below_one() -> None:
    rng = np.random.default_rng(0)
    two = np.concatenate([rng.normal(-1, 0.2, 300), rng.normal(1.5, 0.5, 200)])
    assert -0.8 < boundary(two / two.std()) < 0.6
    assert boundary(rng.normal(size=500)) < -1


def test_background_queries_are_made_as_the_query_was() -> None:
    phrases, pictures = np.eye(3, 6, dtype=np.float32), -np.eye(4, 6, dtype=np.float32)
    assert np.array_equal(
        background_queries([True], lambda vectors: vectors[0], phrases, pictures), phrases
    )
    assert np.array_equal(
        background_queries([False], lambda vectors: vectors[0], phrases, pictures), pictures
    )
    both = background_queries([True, False], lambda vs: vs[0] - vs[1], phrases, pictures, count=50)
    assert both.shape == (50, 6)
    assert {tuple(row) for row in both} <= {
        tuple(phrase - picture) for phrase in phrases for picture in pictures
    }
    assert not len(background_queries([True, False], lambda vs: vs[0], phrases, pictures[:0]))


def test_phrases_are_encoded_once_for_a_model(shapes) -> None:
    notes = Notes()
    first = background_phrases.vectors(shapes.info, lambda: shapes, notes)
    again = background_phrases.vectors(shapes.info, lambda: pytest.fail("loaded again"), notes)
    assert np.array_equal(first, again)
    assert len(notes.texts) == 1
    assert len(set(background_phrases.phrases())) == background_phrases.PHRASES
    unit = first / np.linalg.norm(first, axis=1, keepdims=True)
    assert np.tril(unit @ unit.T, -1).max() < 0.9999, "what is one to the model counts once"
