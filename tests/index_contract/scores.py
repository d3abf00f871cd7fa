"""Scores: what a metric says of a vector."""

from __future__ import annotations

import numpy as np
import pytest

from clipstack.index.base import Collection, Index
from tests.material import Model, row

METRICS = ("COSINE", "IP", "L2")
VECTORS = {
    "/same": [1, 0, 0, 0],
    "/longer": [3, 0, 0, 0],
    "/across": [0, 1, 0, 0],
    "/against": [-1, 0, 0, 0],
    "/zero": [0, 0, 0, 0],
}


class TestScores:
    @pytest.fixture(scope="class")
    @classmethod
    def collections(cls, shared_index: Index) -> dict[str, Collection]:
        """One for each metric, all with the same rows."""
        for metric in METRICS:
            shared_index.create(f"scores_{metric}", Model(), metric)
        collections = {metric: shared_index.collection(f"scores_{metric}") for metric in METRICS}
        for collection in collections.values():
            collection.upsert([row(path, vector) for path, vector in VECTORS.items()])
        return collections

    @pytest.fixture(params=METRICS)
    def collection(
        self, request: pytest.FixtureRequest, collections: dict[str, Collection]
    ) -> Collection:
        return collections[request.param]

    def scores(self, collection: Collection, query: list[float]) -> dict[str, float]:
        """Scores by path. Whether a vector of zeros, which has no direction, is found by COSINE is
        left to the target."""
        (hits,) = collection.search(np.asarray([query], np.float32), limit=10)
        values = [hit.score for hit in hits]
        assert values == sorted(values, reverse=collection.info.metric != "L2")
        scores = {hit.path: round(hit.score, 5) for hit in hits}
        assert len(scores) == len(hits)
        if collection.info.metric == "COSINE":
            scores["/zero"] = 0
        return scores

    def test_scores_are_milvus_own(self, collection: Collection) -> None:
        expected = {
            "COSINE": {"/same": 1, "/longer": 1, "/across": 0, "/against": -1, "/zero": 0},
            "IP": {"/same": 1, "/longer": 3, "/across": 0, "/against": -1, "/zero": 0},
            "L2": {"/same": 0, "/longer": 4, "/across": 2, "/against": 4, "/zero": 1},
        }[collection.info.metric]
        assert self.scores(collection, [1, 0, 0, 0]) == expected

    def test_a_query_is_taken_as_it_is(self, collection: Collection) -> None:
        expected = {
            "COSINE": {"/same": 1, "/longer": 1, "/across": 0, "/against": -1, "/zero": 0},
            "IP": {"/same": 2, "/longer": 6, "/across": 0, "/against": -2, "/zero": 0},
            "L2": {"/same": 1, "/longer": 1, "/across": 5, "/against": 9, "/zero": 4},
        }[collection.info.metric]
        assert self.scores(collection, [2, 0, 0, 0]) == expected

    def test_a_query_of_zeros_has_scores_too(self, collection: Collection) -> None:
        lengths = {"/same": 1, "/longer": 9, "/across": 1, "/against": 1, "/zero": 0}
        expected = lengths if collection.info.metric == "L2" else dict.fromkeys(lengths, 0)
        assert self.scores(collection, [0, 0, 0, 0]) == expected

    def test_the_metric_is_kept(self, collection: Collection, shared_index: Index) -> None:
        info = shared_index.info(collection.info.name)
        assert info == collection.info
        assert info.name == f"scores_{info.metric}"

    def test_vectors_are_kept_as_they_are(self, collection: Collection) -> None:
        kept = collection.vectors_by_digest(["d/longer", "d/zero", "unknown"])
        assert {digest: vector.tolist() for digest, vector in kept.items()} == {
            "d/longer": [3, 0, 0, 0],
            "d/zero": [0, 0, 0, 0],
        }
