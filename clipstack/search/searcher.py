"""Searches: the collection and the model that settings name, and the hits of queries."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clipstack.errors import ClipstackError
from clipstack.index.base import Collection, Hit
from clipstack.index.connect import connect
from clipstack.index.schema import CollectionInfo
from clipstack.index.vector_index import parameters
from clipstack.search import background_phrases, collection_cache, term_vectors
from clipstack.search.hits import find_all, vector_of
from clipstack.search.query import Query, check_limit
from clipstack.search.query_encoding import Encoding
from clipstack.search.query_vector import combined
from clipstack.search.ranking import Group
from clipstack.search.significance import Significance
from clipstack.search.term_vectors import Encoded, Material
from clipstack.settings import Settings

if TYPE_CHECKING:
    from clipstack.index.schema import Matrix
    from clipstack.search.cutoff import Cutoff

_LONG_SECONDS = 0.3
"""An index that takes longer to open is opened beside the loading of the model."""


@dataclass(frozen=True, slots=True)
class SearchResult:
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
) -> SearchResult:
    """Search `settings.collection` once, with the model its vectors came from.

    The query is encoded beside the opening of the collection. One that is released is loaded, and
    `note` told so.

    Raises:
        UsageError: an empty query, or a limit out of range.
        NotFoundError: there is no such collection, file, or row.
        ClipstackError: the collection is empty or holds another model's vectors.
        ImageError: a query picture can't be read.
        UnreachableError: a query picture can't be fetched.
    """
    started = time.monotonic()
    materials = read(query, settings.limit, settings)
    with open_searcher(settings, progress=progress, note=note, first=materials) as searcher:
        return _raised(searcher.answers([query], [materials], settings.limit, started)[0])


def read(query: Query, limit: int, settings: Settings) -> list[Material]:
    """The terms of a query that makes sense, their files read and their URLs fetched.

    Args:
        limit: the most hits wanted.

    Raises:
        UsageError: an empty query, or a limit out of range.
        NotFoundError: there is no such file, or nothing at a URL.
        ImageError: a file can't be read.
        UnreachableError: a URL's server does not answer.
        ClipstackError: it answers with something else.
    """
    query.check()
    check_limit(limit, query.offset)
    return term_vectors.read(query, settings)


@contextlib.contextmanager
def open_searcher(
    settings: Settings,
    *,
    progress: Callable[[int, int], None] | None = None,
    note: Callable[[str], None] = lambda _: None,
    first: Sequence[Material] | None = None,
) -> Iterator[Searcher]:
    """A Searcher of `settings.collection`, whose index is closed at the end.

    Args:
        progress: called with bytes done and bytes in all while the model is fetched.
        note: told what takes a while.
        first: what will be asked for first: encoded as soon as can be.

    Raises:
        NotFoundError: there is no such collection.
        UnreachableError: the index can't be opened now.
    """
    encode = functools.partial(Encoding, settings, progress=progress, note=note, first=first)
    guess = collection_cache.read(settings)
    encoding = encode(guess, is_guess=True) if guess else None
    started = time.monotonic()
    with connect(settings) as index:
        collection = index.collection(settings.collection, patience=settings.patience, note=note)
        if time.monotonic() - started > _LONG_SECONDS:
            collection_cache.write(settings, collection.info)
        else:
            collection_cache.forget(settings)
        encoding = encoding or encode(collection.info)
        collection.prepare()
        yield Searcher(settings, collection, encoding, note=note)


class Searcher:
    """A collection and its model, for as many searches as come, from several threads too.

    Args:
        collection: of an index that stays open as long as this is used.
        encoding: of the collection's model.
        note: told what takes a while.

    Attributes:
        info: of the collection.
        encoding: of its model, for another Searcher of a collection with the same model.
    """

    def __init__(
        self,
        settings: Settings,
        collection: Collection,
        encoding: Encoding,
        *,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.collection = collection
        self.info = collection.info
        self._settings = settings
        self.encoding = encoding
        self._note = note
        self._standing = _standing(collection, encoding, note)

    def search(self, query: Query, *, limit: int | None = None) -> SearchResult:
        """The hits of one query, at most `limit` (by default the settings').

        Raises:
            As `search` of this module.
        """
        return _raised(self.search_all([query], limit=limit)[0])

    def search_all(
        self, queries: Sequence[Query], *, limit: int | None = None
    ) -> list[SearchResult | ClipstackError]:
        """The hits of each query, or what is wrong with it; encoded and searched in batches.

        Raises:
            ClipstackError: nothing can be searched: the model is another, the collection empty.
        """
        started = time.monotonic()
        limit = self._settings.limit if limit is None else limit
        materials: list[list[Material] | ClipstackError] = []
        for query in queries:
            try:
                materials.append(read(query, limit, self._settings))
            except ClipstackError as error:
                materials.append(error)
        return self.answers(queries, materials, limit, started)

    def answers(
        self,
        queries: Sequence[Query],
        materials: Sequence[list[Material] | ClipstackError],
        limit: int,
        started: float,
    ) -> list[SearchResult | ClipstackError]:
        """The hits of queries whose files and URLs are read.

        Args:
            materials: for each query what `read` gave, or why it gave nothing.
            started: when work on the queries began, by `time.monotonic`.

        Raises:
            As `search_all`.
        """
        done: list[SearchResult | ClipstackError | None] = [
            one if isinstance(one, ClipstackError) else None for one in materials
        ]
        vectors = {}
        for n, encoded in self._encoded(materials).items():
            try:
                vectors[n] = vector_of(queries[n], encoded, self.collection)
            except ClipstackError as error:
                done[n] = error
        params = parameters(self._settings.search_params)
        asked = [queries[n] for n in vectors]
        cutoffs = [_cutoff(query, self.collection, self._standing, self._note) for query in asked]
        found = find_all(self.collection, asked, list(vectors.values()), limit, params, cutoffs)
        if found and not any(one.hits for one in found):
            _require_rows(self.collection)
        seconds = (time.monotonic() - started) / max(1, len(queries))
        for n, one in zip(vectors, found, strict=True):
            done[n] = SearchResult(queries[n], self.info, one.hits, seconds, limit, one.groups)
        return [one for one in done if one is not None]

    def _encoded(
        self, materials: Sequence[list[Material] | ClipstackError]
    ) -> dict[int, list[Encoded]]:
        """The vectors of the terms of each query that could be read."""
        read = {n: one for n, one in enumerate(materials) if not isinstance(one, ClipstackError)}
        every = [material for of_one in read.values() for material in of_one]
        encoded = iter(self.encoding.vectors(self.info, every))
        return {n: [next(encoded) for _ in of_one] for n, of_one in read.items()}


def _raised(found: SearchResult | ClipstackError) -> SearchResult:
    if isinstance(found, ClipstackError):
        raise found
    return found


def _standing(
    collection: Collection, encoding: Encoding, note: Callable[[str], None]
) -> Significance:
    def phrases(prompt: str) -> Matrix:
        encoder = encoding.encoder(collection.info)
        return background_phrases.vectors(encoder.info, lambda: encoder, note, prompt)

    return Significance(collection, phrases)


def _cutoff(
    query: Query, collection: Collection, standing: Significance, note: Callable[[str], None]
) -> Cutoff | None:
    """What tells how far the query's hits stand out, where that was asked for and can be told."""
    if not query.judges:
        return None
    terms = [(term.is_text, term.weight) for term in query.terms]
    sample = functools.cache(collection.sample)
    found = standing.cutoff(
        terms,
        lambda vectors: combined(query.terms, vectors, sample),
        query.filters.expression(),
        query.prompt,
    )
    if found is None:
        note("Too few pictures to tell what stands out: nothing is left out for it.")
    return found


def _require_rows(collection: Collection) -> None:
    if collection.is_empty():
        name = collection.info.name
        raise ClipstackError(
            f"collection {name!r} is empty",
            hint=f"Fill it with `clipstack import FOLDER --collection {name}`.",
        )
