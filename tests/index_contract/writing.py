"""Changing rows: written, replaced, tagged, deleted, compacted."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from clipstack.index.base import Collection, FileSignature, Index, PictureTags
from clipstack.index.filters.syntax import Compare, Contains, Field
from clipstack.index.schema import row_id
from tests.index_contract.sample_rows import by_id, content, contents
from tests.material import Model, row

ONES = np.ones((1, 4), np.float32)
A, B, C = row_id("/a"), row_id("/b"), row_id("/c")
LABELS = Field("labels")


class TestWriting:
    @pytest.fixture(scope="class")
    @classmethod
    def created(cls, shared_index: Index) -> None:
        """An empty collection for each test, called like it: a server loads all side by side."""
        for name in dir(cls):
            if name.startswith("test_"):
                shared_index.create(name, Model(), "L2")

    @pytest.fixture
    def collection(
        self, request: pytest.FixtureRequest, shared_index: Index, created: None
    ) -> Collection:
        return shared_index.collection(request.node.name)

    def paths(self, collection: Collection, label: str) -> list[str]:
        """The paths of the rows that a filter for a tag or keyword lets through."""
        (hits,) = collection.search(ONES, limit=10, filter=Contains(LABELS, (label,)))
        return sorted(hit.path for hit in hits)

    def test_an_empty_collection(self, collection: Collection) -> None:
        collection.prepare()
        assert collection.is_empty()
        assert collection.count() == 0
        assert collection.search(np.ones((2, 4), np.float32), limit=5, offset=2) == [[], []]
        assert collection.sample(5).shape == (0, 4)
        assert collection.file_signatures([A]) == {}
        assert collection.vectors([A]) == {}
        assert collection.vectors_by_digest(["d"]) == {}
        assert collection.row(A) is None
        assert list(collection.rows()) == []
        assert list(collection.all_picture_tags()) == []
        assert collection.picture_tags([A]) == {}
        assert collection.delete([A]) == 0
        collection.set_tags({A: ["x"]})
        assert collection.is_empty()

    def test_what_is_written_is_found_at_once(
        self, shared_other: Index, collection: Collection
    ) -> None:
        name = collection.info.name
        other_collection = shared_other.collection(name)
        for number in range(3):
            written = row(f"/{number}", [number, 1, 0, 0], facts={"tags": [f"t{number}"]})
            collection.upsert([written], new=number % 2 == 0)
            assert not other_collection.is_empty()
            assert other_collection.count() == shared_other.describe(name).rows == number + 1
            (hits,) = other_collection.search(np.asarray([[number, 1, 0, 0]], np.float32), limit=1)
            assert (hits[0].path, hits[0].score) == (f"/{number}", 0)
            assert other_collection.file_signatures([written.id]) == {
                written.id: FileSignature(1, 2**60 + 1, f"d/{number}")
            }
            assert self.paths(other_collection, f"t{number}") == [f"/{number}"]
        assert other_collection.delete([row_id("/0")]) == 1
        assert collection.file_signatures([row_id("/0")]) == {}
        assert collection.count() == 2

    def test_rows_are_replaced_whole(self, collection: Collection) -> None:
        facts = {"camera": "Canon EOS", "keywords": ["Dog"], "title": "old"}
        collection.upsert([row("/a", [1, 0, 0, 0], facts=facts), row("/b", [0, 1, 0, 0])])
        new = row("/a", [9, 9, 9, 9], "new", size=77, facts={"keywords": ["Cat"], "lens": "50mm"})
        collection.upsert([new, row("/c", [0, 0, 1, 0])])
        assert collection.count() == 3
        assert collection.file_signatures([A])[A] == FileSignature(77, 2**60 + 1, "new")
        (hits,) = collection.search(np.full((1, 4), 9, np.float32), limit=3)
        assert (hits[0].id, hits[0].score, hits[0].facts) == (A, 0, new.facts)
        assert sorted(hit.id for hit in hits) == sorted((A, B, C))
        assert self.paths(collection, "dog") == []
        assert self.paths(collection, "cat") == ["/a"]
        assert collection.count(Contains(Field("camera_words"), ("canon",))) == 0
        assert collection.count(Compare(Field("size"), "==", 77)) == 1
        assert collection.vectors_by_digest(["d/a", "new"]).keys() == {"new"}

    def test_tags_stay_with_a_row_that_is_replaced(self, collection: Collection) -> None:
        facts_with_tags = {"tags": ["Mine", "Été"], "title": "old"}
        collection.upsert(
            [row(path, [1, 2, 3, 4], facts=facts_with_tags) for path in ("/a", "/b", "/c")]
        )
        collection.upsert(
            [
                row("/a", [4, 3, 2, 1], facts={"title": "new"}),
                row("/b", [4, 3, 2, 1], facts={"tags": ["Theirs"]}),
                row("/c", [4, 3, 2, 1], facts={"tags": []}),
            ]
        )
        facts = {hit.path: hit.facts for hit in collection.search(ONES, limit=5)[0]}
        assert facts["/a"] == {"tags": ["Mine", "Été"], "title": "new"}
        assert facts["/b"] == {"tags": ["Theirs"]}
        assert not facts["/c"].get("tags")
        assert self.paths(collection, "mine") == ["/a"]
        assert self.paths(collection, "theirs") == ["/b"]

    def test_a_new_row_that_is_there_already_is_not_doubled(
        self, shared_other: Index, collection: Collection
    ) -> None:
        collection.upsert([row(f"/{number}", [number, 0, 0, 1]) for number in range(20)])
        again = [row(f"/{number}", [number, 0, 0, 2], "again") for number in range(10, 30)]
        shared_other.collection(collection.info.name).upsert(again, new=True)
        assert collection.count() == 30
        rows = [row for batch in collection.rows() for row in batch]
        assert sorted(row.path for row in rows) == sorted(f"/{number}" for number in range(30))
        vectors = {row.path: row.vector.tolist() for row in rows}
        assert vectors["/9"] == [9, 0, 0, 1]
        assert vectors["/10"] == [10, 0, 0, 2]
        (hits,) = collection.search(ONES, limit=100)
        assert len({hit.id for hit in hits}) == len(hits) == 30

    def test_deleted_rows_are_gone_and_counted(self, collection: Collection) -> None:
        rows = [row(f"/{n}", [n, 0, 0, 1], "same", facts={"tags": ["x"]}) for n in range(1500)]
        collection.upsert(rows)
        ids = [row.id for row in rows]
        assert collection.delete([ids[0], row_id("/other"), ids[1], ids[0]]) == 2
        assert collection.delete(ids[:2]) == 0
        assert collection.count() == 1498
        assert collection.delete(ids[:-2]) == 1496
        (hits,) = collection.search(ONES, limit=10)
        assert sorted(hit.id for hit in hits) == sorted(ids[-2:])
        assert collection.file_signatures(ids).keys() == set(ids[-2:])
        assert self.paths(collection, "x") == ["/1498", "/1499"]
        assert contents(collection) == [content(row) for row in by_id(rows[-2:])]
        assert collection.vectors_by_digest(["same"])["same"].tolist()[0] in (1498, 1499)
        assert collection.delete(ids) == 2
        assert collection.is_empty()
        collection.upsert(rows[:10])
        assert contents(collection) == [content(row) for row in by_id(rows[:10])]

    def test_tags_are_set_and_taken_away(self, collection: Collection) -> None:
        facts = {"title": "kept", "keywords": ["Dog"], "list": [1, {"a": None}]}
        rows = [
            row("/a", [1, 2, 3, 4], facts=facts | {"tags": ["Old"]}),
            row("/b", [1, 2, 3, 5], facts={"tags": ["Old", "Older"]}),
            row("/c", [1, 2, 3, 6]),
        ]
        collection.upsert(rows)
        new = {A: ["New", "Très  neu", "😀"], B: [], C: ["New"], row_id("/other"): ["New"]}
        collection.set_tags(new)
        assert collection.picture_tags([A, B, C]) == {
            A: PictureTags(A, "/a", ("New", "Très  neu", "😀")),
            B: PictureTags(B, "/b", ()),
            C: PictureTags(C, "/c", ("New",)),
        }
        expected = [facts | {"tags": new[A]}, {}, {"tags": ["New"]}]
        assert contents(collection) == [
            content(dataclasses.replace(row, facts=own))
            for row, own in sorted(
                zip(rows, expected, strict=True), key=lambda pair: str(pair[0].id)
            )
        ]
        assert self.paths(collection, "old") == []
        assert self.paths(collection, "new") == ["/a", "/c"]
        assert self.paths(collection, "très neu") == ["/a"]
        assert self.paths(collection, "dog") == ["/a"]
        assert [
            facts_with_tags.tags
            for facts_with_tags in collection.all_picture_tags(Contains(LABELS, ("😀",)))
        ] == [("New", "Très  neu", "😀")]
        assert collection.row(B) is not None
        assert "tags" not in (collection.row(B) or {})
        assert collection.count() == 3

    def test_compaction_keeps_rows_and_hits(
        self, shared_index: Index, collection: Collection
    ) -> None:
        name = collection.info.name
        random = np.random.default_rng(2)
        rows = [
            row(f"/{n}", random.standard_normal(4, np.float32), facts={"tags": [f"t{n % 3}"]})
            for n in range(400)
        ]
        collection.upsert(rows)
        replaced = [
            dataclasses.replace(row, vector=row.vector + 1, facts={"tags": ["t3"]})
            for row in rows[:100]
        ]
        collection.upsert(replaced)
        assert collection.delete([row.id for row in rows[300:]]) == 100
        left = by_id([*replaced, *rows[100:300]])
        query = ONES * 0.25
        before = collection.search(query, limit=300)
        shared_index.set_alias(name, "compacted")
        result = shared_index.compact("compacted", wait=True)
        assert (result.name, result.finished, result.lost) == (name, True, 0)
        assert result.seconds >= 0
        assert contents(collection) == [content(row) for row in left]
        assert collection.search(query, limit=300) == before
        assert collection.count(Contains(LABELS, ("t3",))) == 100
        collection.upsert([row("/late", [0.25] * 4)])
        assert collection.search(query, limit=1)[0][0].path == "/late"
        assert collection.count() == shared_index.describe(name).rows == 301
