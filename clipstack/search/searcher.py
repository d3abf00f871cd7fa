"""Settings and queries in, their hits out."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clipstack import remembered
from clipstack.errors import ClipstackError
from clipstack.index import collections, upkeep
from clipstack.index.indexes import parameters
from clipstack.index.lite_file import LiteFile, Unexpected
from clipstack.index.schema import CollectionInfo, row_id
from clipstack.index.store import Hit, Store
from clipstack.search import background, terms
from clipstack.search.combining import combined
from clipstack.search.encoding import Encoding
from clipstack.search.finding import Finder, Found, expression_of, find, find_all, vector_of
from clipstack.search.query import Query, check_limit
from clipstack.search.ranking import Group
from clipstack.search.standing import Standing
from clipstack.search.terms import Encoded, Material
from clipstack.settings import Settings
from clipstack.workspace import open_database

if TYPE_CHECKING:
    from clipstack.index.database import Database
    from clipstack.index.schema import Matrix
    from clipstack.index.server import Server
    from clipstack.search.cutoff import Cutoff


@dataclass(frozen=True, slots=True)
class Result:
    """What a search found: hits best first, and the collection they came from.

    Attributes:
        limit: the most hits there could be.
        groups: by a hit's id the folder or day it stands for, under `group_by`.
    """

    query: Query
    collection: CollectionInfo
    hits: list[Hit]
    seconds: float
    limit: int = 0
    groups: Mapping[str, Group] = field(default_factory=dict)


def search(
    settings: Settings,
    query: Query,
    *,
    progress: Callable[[int, int], None] | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Result:
    """Search `settings.collection` once, with the model its vectors came from.

    A collection that is released is loaded, and `note` told so.

    Raises:
        UsageError: an empty query, or a limit out of range.
        NotFoundError: there is no such collection, file, or row.
        ClipstackError: the collection is empty or holds another model's vectors.
        ImageError: a query picture can't be read.
        UnreachableError: a query picture can't be fetched.
    """
    query.check()
    check_limit(settings.limit, query.offset)
    started = time.monotonic()
    materials = terms.read(query, settings)
    params = parameters(settings.search_params)

    def finish(finder: Finder, encoding: Encoding) -> Result:
        vector = vector_of(query, encoding.vectors(finder.info, materials), finder)
        standing = _standing(finder, encoding, note)
        cutoff = _cutoff(query, finder, standing, note)
        found = find(finder, query, vector, settings.limit, params, cutoff)
        _require_rows(finder, found)
        seconds = time.monotonic() - started
        return _result(query, finder.info, found, seconds, settings.limit)

    if not settings.milvus_uri and not expression_of(query):
        with (
            contextlib.suppress(Unexpected),
            LiteFile(settings.database, settings.collection, wait=settings.wait) as file,
        ):
            encoding = Encoding(settings, file.info, progress=progress, note=note, first=materials)
            file.read_ahead()
            return finish(file, encoding)
    encoding = Encoding(settings, progress=progress, note=note, first=materials)
    with open_database(settings) as database:
        result = finish(_store(database, settings, note), encoding)
    remembered.write(settings, result.collection)
    return result


class Searcher(AbstractContextManager["Searcher"]):
    """A collection and its model, open for as many searches as come, from several threads too.

    Use as a context manager.

    Args:
        progress: called with bytes done and bytes in all while the model is fetched.
        note: told what takes a while.
        encoding: of a Searcher before, for the same model: it stays loaded.

    Raises:
        NotFoundError: there is no such collection.
        UnreachableError: the database can't be opened now.

    Attributes:
        info: of the collection.
        encoding: its model, for another Searcher after this one is closed.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        progress: Callable[[int, int], None] | None = None,
        note: Callable[[str], None] = lambda _: None,
        encoding: Encoding | None = None,
    ) -> None:
        self._settings = settings
        self.encoding = encoding or Encoding(settings, progress=progress, note=note)
        self._database = open_database(settings)
        try:
            self._store = _store(self._database, settings, note)
        except BaseException:
            self.close()
            raise
        self.info = self._store.info
        self._note = note
        self._standing = _standing(self._store, self.encoding, note)
        remembered.write(settings, self.info)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the database go."""
        self._database.close()

    def search(self, query: Query, *, limit: int | None = None) -> Result:
        """The hits of one query, at most `limit` (by default the settings').

        Raises:
            As `search` of this module.
        """
        found = self.search_all([query], limit=limit)[0]
        if isinstance(found, ClipstackError):
            raise found
        return found

    def search_all(
        self, queries: Sequence[Query], *, limit: int | None = None
    ) -> list[Result | ClipstackError]:
        """The hits of each query, or what is wrong with it; encoded and searched in batches.

        Raises:
            ClipstackError: nothing can be searched: the model is another, the collection empty.
        """
        started = time.monotonic()
        limit = self._settings.limit if limit is None else limit
        done: list[Result | ClipstackError | None] = [None] * len(queries)
        materials: dict[int, list[Material]] = {}
        for n, query in enumerate(queries):
            try:
                query.check()
                check_limit(limit, query.offset)
                materials[n] = terms.read(query, self._settings)
            except ClipstackError as error:
                done[n] = error
        every = [material for of_one in materials.values() for material in of_one]
        encoded = iter(self.encoding.vectors(self.info, every))
        vectors = {}
        for n, of_one in materials.items():
            mine: list[Encoded] = [next(encoded) for _ in of_one]
            try:
                vectors[n] = vector_of(queries[n], mine, self._store)
            except ClipstackError as error:
                done[n] = error
        params = parameters(self._settings.search_params)
        asked = [queries[n] for n in vectors]
        cutoffs = [_cutoff(query, self._store, self._standing, self._note) for query in asked]
        found = find_all(self._store, asked, list(vectors.values()), limit, params, cutoffs)
        if found and not any(one.hits for one in found):
            _require_rows(self._store, found[0])
        seconds = (time.monotonic() - started) / max(1, len(queries))
        for n, one in zip(vectors, found, strict=True):
            done[n] = _result(queries[n], self.info, one, seconds, limit)
        return [one for one in done if one is not None]

    def collections(self) -> list[collections.Described]:
        """Every collection of the target."""
        return collections.list_all(self._database.client)

    def row(self, id: str) -> dict[str, Any] | None:
        """Every stored field of a row but its vector, dynamic ones too; None: no such row."""
        return self._store.row(id)

    def row_at(self, path: str) -> dict[str, Any] | None:
        """The row of the picture at an absolute path."""
        return self.row(row_id(path))


def _store(database: Database | Server, settings: Settings, note: Callable[[str], None]) -> Store:
    """The rows of `settings.collection`, ready to be searched."""
    client = database.client
    info = collections.get_info(client, settings.collection)
    upkeep.ensure_loaded(client, info.name, patience=settings.patience, note=note)
    if client.embedded:  # it would do so at the first search, after the encoding
        client.load_collection(info.name)
    return Store(client, info)


def _standing(finder: Finder, encoding: Encoding, note: Callable[[str], None]) -> Standing:
    def phrases(prompt: str) -> Matrix:
        encoder = encoding.encoder(finder.info)
        return background.vectors(encoder.info, lambda: encoder, note, prompt)

    return Standing(finder, phrases)


def _cutoff(
    query: Query, finder: Finder, standing: Standing, note: Callable[[str], None]
) -> Cutoff | None:
    """What tells how far the query's hits stand out, where that was asked for and can be told."""
    if not query.judges:
        return None
    terms = [(term.is_text, term.weight) for term in query.terms]
    sample = functools.cache(finder.sample)
    found = standing.cutoff(
        terms,
        lambda vectors: combined(query.terms, vectors, sample),
        expression_of(query),
        query.prompt,
    )
    if found is None:
        note("Too few pictures to tell what stands out: nothing is left out for it.")
    return found


def _result(query: Query, info: CollectionInfo, found: Found, seconds: float, limit: int) -> Result:
    return Result(query, info, found.hits, seconds, limit, found.groups)


def _require_rows(finder: Finder, found: Found) -> None:
    if not found.hits and finder.is_empty():
        raise ClipstackError(
            f"collection {finder.info.name!r} is empty",
            hint=f"Fill it with `clipstack import FOLDER --collection {finder.info.name}`.",
        )
