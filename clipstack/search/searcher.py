"""Searches a collection with the model that its vectors came from."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from clipstack.errors import ClipstackError
from clipstack.events import SILENT, Events
from clipstack.index.base import Collection, Hit
from clipstack.index.connect import connect
from clipstack.index.schema import CollectionInfo
from clipstack.search import collection_cache, term_vectors
from clipstack.search.hits import find_all, vector_of
from clipstack.search.query import Query, check_limit
from clipstack.search.query_encoding import QueryEncoder
from clipstack.search.ranking import Group
from clipstack.search.significance import Significance
from clipstack.search.term_vectors import Encoded, TermInput
from clipstack.settings import Settings

_SLOW_SECONDS = 0.3
"""The next search of an index that takes longer to open loads the model at the same time."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The hits of a query.

    Attributes:
        collection: that was searched.
        hits: best first, unless the query sorts them.
        limit: hits, at most.
        groups: by a hit's id, the folder or day that it represents, if the query groups hits.
    """

    query: Query
    collection: CollectionInfo
    hits: list[Hit]
    seconds: float
    limit: int = 0
    groups: Mapping[str, Group] = field(default_factory=dict)


def search(settings: Settings, query: Query, *, events: Events = SILENT) -> SearchResult:
    """Search `settings.collection` once.

    The query is encoded while the collection opens. A released collection is loaded.

    Args:
        events: reports a download, and what takes a while.

    Raises:
        UsageError: an empty query, or a limit out of range.
        NotFoundError: there is no such collection, file, or row.
        ClipstackError: the collection is empty or holds another model's vectors.
        ImageError: a query picture can't be read.
        UnreachableError: a query picture can't be fetched.
    """
    started = time.monotonic()
    inputs = read_inputs(query, settings.limit, settings)
    with open_searcher(settings, events=events, first=inputs) as searcher:
        results = searcher.search_inputs([query], [inputs], settings.limit, started)
        return _result_or_raise(results[0])


def read_inputs(query: Query, limit: int, settings: Settings) -> list[TermInput]:
    """Check a query, read the files of its terms and fetch their URLs.

    Args:
        limit: hits, at most.

    Raises:
        UsageError: an empty query, or a limit out of range.
        NotFoundError: there is no such file, or nothing at a URL.
        ImageError: a file can't be read.
        UnreachableError: a URL's server does not answer.
        ClipstackError: a URL's server refuses.
    """
    query.check()
    check_limit(limit, query.offset)
    return term_vectors.read(query, settings)


@contextlib.contextmanager
def open_searcher(
    settings: Settings,
    *,
    events: Events = SILENT,
    first: Sequence[TermInput] | None = None,
) -> Iterator[Searcher]:
    """A Searcher of `settings.collection`, whose index is closed at the end.

    Args:
        events: reports a download, and what takes a while.
        first: inputs of the first query, which are encoded at once.

    Raises:
        NotFoundError: there is no such collection.
        UnreachableError: the index can't be opened now.
    """
    new_encoder = functools.partial(QueryEncoder, settings, events=events, first=first)
    cached = collection_cache.read(settings)
    encoder = new_encoder(cached, is_guess=True) if cached else None
    started = time.monotonic()
    with connect(settings) as index:
        collection = index.collection(
            settings.collection, patience=settings.patience, events=events
        )
        if time.monotonic() - started > _SLOW_SECONDS:
            collection_cache.write(settings, collection.info)
        else:
            collection_cache.forget(settings)
        encoder = encoder or new_encoder(collection.info)
        collection.prepare()
        yield Searcher(settings, collection, encoder, events=events)
        encoder.close()


class Searcher:
    """A collection and its model, for any number of searches, also from several threads.

    Args:
        collection: of an index that stays open as long as this is used.
        query_encoder: of the collection's model.
        events: reports what takes a while.

    Attributes:
        info: of the collection.
        query_encoder: for another Searcher of a collection with the same model, too.
    """

    def __init__(
        self,
        settings: Settings,
        collection: Collection,
        query_encoder: QueryEncoder,
        *,
        events: Events = SILENT,
    ) -> None:
        self.collection = collection
        self.info = collection.info
        self.query_encoder = query_encoder
        self._settings = settings
        self._significance = Significance(collection, query_encoder, events)

    def search(self, query: Query, *, limit: int | None = None) -> SearchResult:
        """The hits of one query.

        Args:
            limit: hits, at most; by default the settings' limit.

        Raises:
            UsageError, NotFoundError, ClipstackError, ImageError, UnreachableError: as `search` of
                this module.
        """
        return _result_or_raise(self.search_all([query], limit=limit)[0])

    def search_all(
        self, queries: Sequence[Query], *, limit: int | None = None
    ) -> list[SearchResult | ClipstackError]:
        """The hits of each query, or its error. Queries are encoded and searched in batches.

        Args:
            limit: hits of a query, at most; by default the settings' limit.

        Raises:
            ClipstackError: no query can be searched: the model is another, or the collection empty.
        """
        started = time.monotonic()
        limit = self._settings.limit if limit is None else limit
        inputs: list[list[TermInput] | ClipstackError] = []
        for query in queries:
            try:
                inputs.append(read_inputs(query, limit, self._settings))
            except ClipstackError as error:
                inputs.append(error)
        return self.search_inputs(queries, inputs, limit, started)

    def search_inputs(
        self,
        queries: Sequence[Query],
        inputs: Sequence[list[TermInput] | ClipstackError],
        limit: int,
        started: float,
    ) -> list[SearchResult | ClipstackError]:
        """The hits of queries whose files and URLs are read, or their errors.

        Args:
            inputs: for each query, the result of `read_inputs`, or its error.
            limit: hits of a query, at most.
            started: when work on the queries began, by `time.monotonic`.

        Raises:
            ClipstackError: as `search_all`.
        """
        results: dict[int, SearchResult | ClipstackError] = {
            n: error for n, error in enumerate(inputs) if isinstance(error, ClipstackError)
        }
        vectors = {}
        for n, encoded in self._encode(inputs).items():
            try:
                vectors[n] = vector_of(queries[n], encoded, self.collection)
            except ClipstackError as error:
                results[n] = error
        encoded_queries = [queries[n] for n in vectors]
        ranked = find_all(
            self.collection,
            encoded_queries,
            list(vectors.values()),
            limit,
            self._settings.search_params,
            [self._significance.cutoff(query) for query in encoded_queries],
        )
        if ranked and not any(each.hits for each in ranked):
            _require_rows(self.collection)
        seconds = (time.monotonic() - started) / max(1, len(queries))
        for n, each in zip(vectors, ranked, strict=True):
            results[n] = SearchResult(queries[n], self.info, each.hits, seconds, limit, each.groups)
        return [results[n] for n in range(len(queries))]

    def _encode(
        self, inputs: Sequence[list[TermInput] | ClipstackError]
    ) -> dict[int, list[Encoded]]:
        """The vectors of the terms of each query that could be read."""
        read = {n: terms for n, terms in enumerate(inputs) if not isinstance(terms, ClipstackError)}
        every_input = [term for terms in read.values() for term in terms]
        encoded = iter(self.query_encoder.vectors(self.info, every_input))
        return {n: [next(encoded) for _ in terms] for n, terms in read.items()}


def _result_or_raise(result: SearchResult | ClipstackError) -> SearchResult:
    if isinstance(result, ClipstackError):
        raise result
    return result


def _require_rows(collection: Collection) -> None:
    if collection.is_empty():
        name = collection.info.name
        raise ClipstackError(
            f"collection {name!r} is empty",
            hint=f"Fill it with `clipstack import FOLDER --collection {name}`.",
        )
