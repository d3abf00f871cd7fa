"""Collections: made, named, renamed, aliased, loaded and dropped."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from clipstack.errors import ClipstackError, NotFoundError, UsageError
from clipstack.index.base import Collection, Index, require_same_model
from clipstack.index.schema import CollectionInfo, row_id
from clipstack.index.vector_index import VectorIndex
from tests.material import Model, row
from tests.notes import Notes

BAD_NAMES = ("", "1st", "with-dash", "two words", "naïve", "a.b", "a/b", "a\n", "x" * 256)
MODEL = Model()


def search_paths(collection: Collection) -> list[str]:
    """The paths of all rows, the first one first."""
    (hits,) = collection.search(np.asarray([[1, 0, 0, 0]], np.float32), limit=10)
    return [hit.path for hit in hits]


class TestCatalog:
    @pytest.fixture
    def fill(self, index: Index) -> Callable[[str], CollectionInfo]:
        """Makes a collection with two rows."""

        def fill(name: str) -> CollectionInfo:
            info = index.create(name, MODEL, "COSINE")
            rows = [row("/near", [1, 0, 0, 0]), row("/far", [0, 1, 0, 0])]
            index.collection(name).upsert(rows)
            return info

        return fill

    def test_nothing_is_there_at_first(self, index: Index) -> None:
        assert index.names() == []
        assert index.list() == []
        assert index.location
        with pytest.raises(NotFoundError, match="no collection 'mine'") as error:
            index.describe("mine")
        assert "clipstack import" in error.value.hint

    def test_collections_are_described(self, index: Index, other: Index) -> None:
        model = Model(name="über/model", revision="", fingerprint="beef", dimension=3)
        first = index.create("Zebra_1", model, "IP")
        second = index.create("_ant", MODEL, "L2", VectorIndex("FLAT"))
        assert first == CollectionInfo("Zebra_1", "über/model", "", "beef", 3, "IP")
        for opened in (index, other):
            assert opened.names() == ["Zebra_1", "_ant"]
            assert opened.list() == [opened.describe("Zebra_1"), opened.describe("_ant")]
            assert [opened.info(name) for name in opened.names()] == [first, second]
            assert opened.exists("_ant")
            assert not opened.exists("ant")
        summary = index.describe("Zebra_1")
        assert (summary.name, summary.rows, summary.info) == ("Zebra_1", 0, first)
        assert summary.index is not None
        assert summary.index.type == index.resolve_vector_index(VectorIndex()).type
        assert summary.aliases == ()
        flat = index.describe("_ant").index
        assert flat is not None
        assert flat.type == index.resolve_vector_index(VectorIndex("FLAT")).type == "FLAT"

    def test_a_collection_that_is_not_there(self, index: Index) -> None:
        index.create("here", MODEL, "COSINE")
        calls: tuple[Callable[[], object], ...] = (
            lambda: index.describe("gone"),
            lambda: index.info("gone"),
            lambda: index.collection("gone"),
            lambda: index.drop("gone"),
            lambda: index.rename("gone", "new"),
            lambda: index.set_alias("gone", "new"),
            lambda: index.delete_alias("gone", "new"),
            lambda: index.load("gone", patience=1),
            lambda: index.compact("gone", wait=True),
        )
        for call in calls:
            with pytest.raises(NotFoundError, match="no collection 'gone'") as error:
                call()
            assert "here" in error.value.hint
        assert not index.exists("gone")
        assert index.names() == ["here"]

    def test_names_that_are_none(self, index: Index) -> None:
        index.create("here", MODEL, "COSINE")
        for bad in BAD_NAMES:
            calls: tuple[Callable[[], object], ...] = (
                lambda bad=bad: index.create(bad, MODEL, "COSINE"),
                lambda bad=bad: index.rename("here", bad),
                lambda bad=bad: index.set_alias("here", bad),
                lambda bad=bad: index.exists(bad),
                lambda bad=bad: index.describe(bad),
                lambda bad=bad: index.collection(bad),
                lambda bad=bad: index.drop(bad),
            )
            for call in calls:
                with pytest.raises(UsageError, match="is not a valid name for a collection"):
                    call()
        assert index.names() == ["here"]
        assert index.describe("here").aliases == ()

    def test_the_longest_names(self, index: Index) -> None:
        name, alias, later = "n" * 255, "A" * 255, "_" * 255
        info = index.create(name, MODEL, "COSINE")
        index.set_alias(name, alias)
        assert index.info(alias) == info
        assert index.rename(name, later).name == later
        assert (index.names(), index.describe(alias).name) == ([later], later)

    def test_names_that_are_taken(self, index: Index) -> None:
        index.create("first", MODEL, "COSINE")
        index.create("second", Model(dimension=3), "L2")
        index.set_alias("first", "alias")
        calls: tuple[Callable[[], object], ...] = (
            lambda: index.create("first", MODEL, "L2"),
            lambda: index.create("alias", MODEL, "L2"),
            lambda: index.rename("second", "first"),
            lambda: index.rename("second", "alias"),
            lambda: index.rename("second", "second"),
            lambda: index.set_alias("second", "first"),
            lambda: index.set_alias("second", "second"),
        )
        for call in calls:
            with pytest.raises(ClipstackError, match="already"):
                call()
        assert [summary.name for summary in index.list()] == ["first", "second"]
        assert index.info("alias").metric == "COSINE"
        assert index.info("second").metric == "L2"

    def test_an_index_that_nobody_has_leaves_nothing(self, index: Index) -> None:
        with pytest.raises(ClipstackError, match="NONSENSE") as error:
            index.create("mine", MODEL, "COSINE", VectorIndex("NONSENSE"))
        assert "--index" in error.value.hint
        assert index.names() == []
        index.create("mine", MODEL, "COSINE")

    def test_dropped_with_rows_and_aliases(
        self, index: Index, fill: Callable[[str], CollectionInfo]
    ) -> None:
        fill("mine")
        index.create("kept", MODEL, "COSINE")
        index.set_alias("mine", "one")
        index.set_alias("mine", "two")
        with pytest.raises(UsageError, match="alias of the collection 'mine'") as error:
            index.drop("one")
        assert "clipstack collections alias mine one --delete" in error.value.hint
        assert index.drop("mine") == 2
        assert index.names() == ["kept"]
        assert not any(index.exists(name) for name in ("mine", "one", "two"))
        with pytest.raises(NotFoundError):
            index.drop("mine")
        index.create("one", Model(dimension=3), "L2")
        index.create("mine", MODEL, "COSINE")
        assert index.set_alias("mine", "two") == ""
        assert index.describe("one").aliases == ()
        assert index.describe("mine").aliases == ("two",)
        assert index.describe("two").rows == 0
        assert index.drop("one") == 0

    def test_renamed_with_rows_and_aliases(
        self, index: Index, other: Index, fill: Callable[[str], CollectionInfo]
    ) -> None:
        info = fill("mine")
        index.set_alias("mine", "alias")
        with pytest.raises(UsageError, match="alias of the collection 'mine'"):
            index.rename("alias", "new")
        renamed = index.rename("mine", "new")
        assert renamed.name == "new"
        assert (renamed.model, renamed.fingerprint) == (info.model, info.fingerprint)
        for opened in (index, other):
            assert opened.names() == ["new"]
            assert not opened.exists("mine")
            assert opened.info("alias") == opened.info("new") == renamed
            summary = opened.describe("alias")
            assert (summary.name, summary.rows) == ("new", 2)
            assert summary.aliases == ("alias",)
            for name in ("new", "alias"):
                assert search_paths(opened.collection(name)) == ["/near", "/far"]
        index.create("mine", Model(dimension=3), "L2")
        assert (index.describe("mine").rows, index.describe("new").rows) == (0, 2)
        index.collection("new").upsert([row("/late", [-1, 0, 0, 0])])
        assert search_paths(other.collection("alias")) == ["/near", "/far", "/late"]

    def test_an_alias_does_for_a_name(
        self, index: Index, other: Index, fill: Callable[[str], CollectionInfo]
    ) -> None:
        info = fill("first")
        index.create("second", Model(dimension=3), "L2")
        assert index.set_alias("first", "b") == ""
        assert index.set_alias("b", "a") == ""
        for opened in (index, other):
            assert opened.exists("a")
            assert opened.names() == ["first", "second"]
            assert opened.describe("a") == opened.describe("first")
            assert opened.describe("a").aliases == ("a", "b")
            assert opened.info("b") == info
            assert opened.collection("a").info == info
        assert index.load("a", patience=60) == "first"
        index.collection("a").upsert([row("/late", [-1, 0, 0, 0])])
        assert search_paths(index.collection("first")) == ["/near", "/far", "/late"]
        assert index.set_alias("b", "a") == "first"

        assert index.set_alias("second", "a") == "first"
        assert index.info("a").metric == "L2"
        assert other.describe("a").rows == 0
        assert index.describe("first").aliases == ("b",)
        assert index.describe("second").aliases == ("a",)
        with pytest.raises(NotFoundError, match="'first' has no alias 'a'") as error:
            index.delete_alias("b", "a")
        assert "b" in error.value.hint
        with pytest.raises(NotFoundError, match="no alias 'first'"):
            index.delete_alias("first", "first")
        index.delete_alias("a", "a")
        assert not other.exists("a")
        assert other.describe("second").aliases == ()
        with pytest.raises(NotFoundError, match="no collection 'a'"):
            other.collection("a")
        assert index.set_alias("first", "a") == ""
        assert index.describe("a").rows == 3

    def test_released_and_loaded_where_there_is_such_a_thing(
        self, index: Index, fill: Callable[[str], CollectionInfo]
    ) -> None:
        fill("mine")
        index.set_alias("mine", "alias")
        assert index.load("alias", patience=60) == "mine"
        if index.describe("mine").loaded is None:
            with pytest.raises(UsageError, match="can't release") as error:
                index.release("mine")
            assert "clipstack up" in error.value.hint
        else:
            assert index.release("alias") == "mine"
            assert (index.describe("mine").loaded, index.describe("mine").rows) == (False, 2)
            notes = Notes()
            assert search_paths(index.collection("mine", events=notes)) == ["/near", "/far"]
            assert len(notes.texts) == 1
            assert index.describe("mine").loaded
        assert index.describe("mine").rows == 2

    def test_dropped_by_another_while_it_is_open(
        self, index: Index, other: Index, fill: Callable[[str], CollectionInfo]
    ) -> None:
        fill("mine")
        collection = index.collection("mine")
        assert search_paths(collection) == ["/near", "/far"]
        assert other.drop("mine") == 2
        ids = [row_id("/near")]
        query = np.ones((1, 4), np.float32)
        calls: tuple[Callable[[], object], ...] = (
            lambda: collection.search(query, limit=1),
            lambda: collection.require_exists(),
            lambda: collection.count(),
            lambda: collection.is_empty(),
            lambda: collection.file_signatures(ids),
            lambda: collection.vectors(ids),
            lambda: collection.vectors_by_digest(["d/near"]),
            lambda: collection.sample(1),
            lambda: collection.row(ids[0]),
            lambda: list(collection.rows()),
            lambda: collection.picture_tags(ids),
            lambda: list(collection.all_picture_tags()),
            lambda: collection.upsert([row("/a", [1, 0, 0, 0])]),
            lambda: collection.upsert([row("/a", [1, 0, 0, 0])], new=True),
            lambda: collection.set_tags({ids[0]: ["x"]}),
            lambda: collection.delete(ids),
        )
        for call in calls:
            with pytest.raises(NotFoundError, match="not there any more"):
                call()
        assert not index.exists("mine")

    def test_vectors_of_other_weights_are_refused(self, index: Index) -> None:
        index.create("mine", MODEL, "COSINE")
        info = index.info("mine")
        require_same_model(info, MODEL)
        with pytest.raises(ClipstackError, match="other weights") as same_name:
            require_same_model(info, Model(fingerprint="beef"))
        assert "drop" in same_name.value.hint
        with pytest.raises(ClipstackError, match="not of 'other'") as other:
            require_same_model(info, Model(name="other", fingerprint="beef"))
        assert "--model some/model" in other.value.hint
