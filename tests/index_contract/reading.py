"""Reading a collection of many rows: searches, filters, samples and all rows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import numpy as np
import pytest

from clipstack.index.base import MAX_LIMIT, Collection, FileSignature, Hit, Index, PictureTags
from clipstack.index.filters.syntax import (
    And,
    Compare,
    Contains,
    Expression,
    Field,
    In,
    Not,
    Or,
    below_folder,
)
from clipstack.index.schema import Row, row_id
from clipstack.index.vector_index import VectorIndex
from tests.index_contract.sample_rows import DIMENSION, FOLDERS, MANY, by_id, many_rows, same
from tests.material import Model

WIDTH = Field("width")
FEW = Or((Compare(WIDTH, "<", 40), Compare(WIDTH, ">=", MANY - 60)))
NONE = Compare(WIDTH, "<", 0)
HUNDREDS = Contains(Field("labels"), ("hundred",))
CAMERAS = Contains(Field("camera_words"), ("canon", "z"), "any")
FILTERS: dict[str, tuple[Expression, set[int]]] = {
    "few": (FEW, {*range(40), *range(MANY - 60, MANY)}),
    "a fifth": (Compare(WIDTH, ">=", MANY - 3000), set(range(MANY - 3000, MANY))),
    "none": (NONE, set()),
    "one label": (HUNDREDS, set(range(99, MANY, 100))),
    "two labels": (Contains(Field("labels"), ("mine", "été 2024")), {2}),
    "one of two words": (CAMERAS, {0, *range(99, MANY, 100)}),
    "a label and a format": (And((HUNDREDS, Compare(Field("format"), "==", "PNG"))), set()),
    "paths": (In(Field("path"), ("/a/x.jpg", "/pictures/3/1500.jpg", "none")), {0, 1549}),
    "a dynamic number": (Compare(Field("lat"), "<", 0), {0}),
    "not": (
        And((Not(Compare(WIDTH, ">=", 5)), Compare(Field("height"), "!=", 3))),
        {0, 1, 2, 4},
    ),
}
"""Filters, and the numbers of the rows that they are true of."""


class TestFilled:
    @pytest.fixture(scope="class")
    @classmethod
    def given(cls) -> list[Row]:
        return many_rows()

    @pytest.fixture(scope="class")
    @classmethod
    def filled(cls, shared_index: Index, given: list[Row]) -> Collection:
        model = Model(dimension=DIMENSION)
        shared_index.create("filled", model, "COSINE", VectorIndex("FLAT"))
        collection = shared_index.collection("filled")
        collection.upsert(given[:-5], new=True)
        collection.upsert(given[-5:])
        assert collection.count() == MANY
        return collection

    @pytest.fixture
    def queries(self) -> np.ndarray:
        return np.random.default_rng(5).standard_normal((5, DIMENSION), np.float32)

    def cosines(self, given: list[Row], query: np.ndarray) -> np.ndarray:
        """The score of each row, float64 [rows]."""
        vectors = np.stack([row.vector for row in given]).astype(np.float64)
        wide = query.astype(np.float64)
        return vectors @ wide / np.linalg.norm(vectors, axis=1) / np.linalg.norm(wide)

    def test_a_search_finds_the_nearest(
        self, filled: Collection, given: list[Row], queries: np.ndarray
    ) -> None:
        (hits,) = filled.search(queries[:1], limit=100)
        scores = self.cosines(given, queries[0])
        best = np.sort(scores)[::-1][:100]
        assert np.allclose([hit.score for hit in hits], best, rtol=0, atol=1e-5)
        for hit in hits:
            row = given[hit.width]
            assert hit.score == pytest.approx(scores[row.width], abs=1e-5)
            assert hit == Hit(
                *(row.id, hit.score, row.path, row.width, row.height, row.format, row.size),
                row.taken_at,
                facts=row.facts,
            )

    def test_a_hit_has_every_fact(self, filled: Collection, given: list[Row]) -> None:
        for row in given[:8]:
            (hits,) = filled.search(row.vector[None], limit=1)
            assert (hits[0].path, hits[0].facts) == (row.path, row.facts)

    def test_pages_are_parts_of_one_long_search(
        self, filled: Collection, queries: np.ndarray
    ) -> None:
        (whole,) = filled.search(queries[:1], limit=100)
        pages = [filled.search(queries[:1], limit=17, offset=n)[0] for n in range(0, 100, 17)]
        assert [len(page) for page in pages] == [17] * 6
        assert [hit.id for hit in chain(*pages)][:100] == [hit.id for hit in whole]

    def test_the_longest_search_and_its_last_page(
        self, filled: Collection, given: list[Row], queries: np.ndarray
    ) -> None:
        (hits,) = filled.search(queries[:1], limit=MAX_LIMIT)
        assert len({hit.id for hit in hits}) == MAX_LIMIT
        best = np.sort(self.cosines(given, queries[0]))[::-1][:MAX_LIMIT]
        assert np.allclose([hit.score for hit in hits], best, rtol=0, atol=1e-5)
        (last,) = filled.search(queries[:1], limit=10, offset=MAX_LIMIT - 10)
        assert np.allclose([hit.score for hit in last], best[-10:], rtol=0, atol=1e-5)

    def test_parameters_of_an_index_do_no_harm(
        self, filled: Collection, queries: np.ndarray
    ) -> None:
        plain = filled.search(queries, limit=20)
        assert filled.search(queries, limit=20, params={"ef": 5, "nprobe": 3}) == plain

    def test_several_queries_find_what_each_finds_alone(
        self, filled: Collection, queries: np.ndarray
    ) -> None:
        for filter in (None, HUNDREDS):
            together = filled.search(queries, limit=20, offset=3, filter=filter)
            alone = [
                filled.search(query[None], limit=20, offset=3, filter=filter)[0]
                for query in queries
            ]
            assert [[hit.id for hit in hits] for hits in together] == [
                [hit.id for hit in hits] for hits in alone
            ]

    def test_several_threads_search_at_once(self, filled: Collection, queries: np.ndarray) -> None:
        def search(number: int) -> list[str]:
            filter = FEW if number % 2 else None
            (hits,) = filled.search(queries[number % 5][None], limit=20, filter=filter)
            return [hit.id for hit in hits]

        alone = [search(number) for number in range(10)]
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(search, range(10))) == alone

    @pytest.mark.parametrize("name", FILTERS)
    def test_a_filter_is_the_same_for_all_that_reads(
        self,
        filled: Collection,
        given: list[Row],
        queries: np.ndarray,
        name: str,
    ) -> None:
        filter, numbers = FILTERS[name]
        ids = {given[number].id for number in numbers}
        assert filled.count(filter) == len(ids)
        (hits,) = filled.search(queries[:1], limit=MAX_LIMIT, filter=filter)
        assert len(hits) == len(ids)
        assert {hit.id for hit in hits} == ids
        (page,) = filled.search(queries[:1], limit=50, offset=20, filter=filter)
        assert [hit.id for hit in page] == [hit.id for hit in hits[20:70]]
        assert {row.id for batch in filled.rows(filter=filter) for row in batch} == ids
        assert sorted(tagged.id for tagged in filled.all_picture_tags(filter)) == sorted(ids)
        lowest = [row.vector.tolist() for row in by_id(given) if row.id in ids][:30]
        sample = filled.sample(30, filter=filter)
        assert sample.shape == (len(lowest), DIMENSION)
        assert sorted(sample.tolist()) == sorted(lowest)

    @pytest.mark.parametrize("folder", ["/", *FOLDERS])
    def test_under_means_below_and_nothing_else(
        self, filled: Collection, given: list[Row], queries: np.ndarray, folder: str
    ) -> None:
        first = Compare(WIDTH, "<", 4 * len(FOLDERS))
        below = {row.path for row in given[: 4 * len(FOLDERS)]} & {
            row.path for row in given if row.path.startswith(folder.rstrip("/") + "/")
        }
        filter = And((below_folder(folder), first))
        (hits,) = filled.search(queries[:1], limit=100, filter=filter)
        assert {hit.path for hit in hits} == below
        assert filled.count(filter) == len(hits) == len(below) >= 2

    def test_a_sample_is_of_the_lowest_ids(self, filled: Collection, given: list[Row]) -> None:
        lowest = [row.vector.tolist() for row in by_id(given)]
        for count in (100, 1000):
            sample = filled.sample(count)
            assert sample.dtype == np.float32
            assert sorted(sample.tolist()) == sorted(lowest[:count])
            assert np.array_equal(sample, filled.sample(count)), "the same every time"
            quick = filled.sample(count, rows=MANY)
            assert 0.8 * count <= len(quick) <= count
            assert all(vector in lowest[:count] for vector in quick.tolist())
        assert len(filled.sample(10_000)) == 10_000

    def test_a_sample_of_all_where_there_are_no_more(self, filled: Collection) -> None:
        assert len(filled.sample(100, rows=100, filter=FEW)) == 100
        assert len(filled.sample(5000, rows=100, filter=FEW)) == 100
        assert filled.sample(10, rows=0, filter=NONE).shape == (0, DIMENSION)

    def test_all_rows_are_bit_equal_and_ascending(
        self, filled: Collection, given: list[Row]
    ) -> None:
        batches = list(filled.rows())
        assert len(batches) > 1
        rows = list(chain(*batches))
        assert [row.id for row in rows] == sorted(row.id for row in given)
        wrong = [
            row.path for row, own in zip(rows, by_id(given), strict=True) if not same(row, own)
        ]
        assert wrong == []

    def test_rows_go_on_after_any_id(self, filled: Collection, given: list[Row]) -> None:
        ids = sorted(row.id for row in given)
        for after in (ids[12_345], ids[-2], ids[-1], "e8", "g"):
            rest = [row.id for batch in filled.rows(after=after) for row in batch]
            assert rest == [id for id in ids if id > after]
        few = [row.id for batch in filled.rows(after="8", filter=FEW) for row in batch]
        assert few == sorted(row.id for row in (*given[:40], *given[-60:]) if row.id > "8")

    def test_what_is_known_of_rows(self, filled: Collection, given: list[Row]) -> None:
        some = given[:2500]
        known = filled.file_signatures([*(row.id for row in some), row_id("/other")])
        assert known == {row.id: FileSignature(row.size, row.mtime_ns, row.digest) for row in some}

    def test_vectors_by_id_and_digest(self, filled: Collection, given: list[Row]) -> None:
        some = given[:2500]
        vectors = filled.vectors([*(row.id for row in some), row_id("/other")])
        assert {id: v.tobytes() for id, v in vectors.items()} == {
            row.id: row.vector.tobytes() for row in some
        }
        assert vectors[some[1].id].dtype == np.float32
        vectors = filled.vectors_by_digest({"other", *(row.digest for row in some)})
        assert {digest: v.tobytes() for digest, v in vectors.items()} == {
            row.digest: row.vector.tobytes() for row in some
        }

    def test_one_row_with_all_its_fields(self, filled: Collection, given: list[Row]) -> None:
        fixed = ("id", "path", "digest", "size", "mtime_ns", "width", "height", "format")
        for own in (*given[:10], given[99]):
            expected = {name: getattr(own, name) for name in (*fixed, "taken_at", "imported_at")}
            assert filled.row(own.id) == own.facts | expected
        assert filled.row(row_id("/other")) is None

    def test_paths_and_tags(self, filled: Collection, given: list[Row]) -> None:
        expected = {
            row.id: PictureTags(row.id, row.path, tuple(row.facts.get("tags", ()))) for row in given
        }
        some = [given[number].id for number in (0, 2, 99, 300)]
        assert filled.picture_tags([*some, row_id("/other")]) == {id: expected[id] for id in some}
        everything = list(filled.all_picture_tags())
        assert len(everything) == MANY
        assert {tagged.id: tagged for tagged in everything} == expected

    def test_preparing_changes_nothing(self, filled: Collection, queries: np.ndarray) -> None:
        before = filled.search(queries, limit=5)
        filled.prepare()
        assert filled.search(queries, limit=5) == before
        assert not filled.is_empty()

    def test_nothing_asked_is_nothing_answered(self, filled: Collection) -> None:
        assert filled.file_signatures([]) == {}
        assert filled.vectors([]) == {}
        assert filled.vectors_by_digest([]) == {}
        assert filled.picture_tags([]) == {}
        assert filled.delete([]) == 0
        filled.upsert([])
        filled.set_tags({})
        assert filled.count() == MANY
