"""Which hits of a query stand out of a collection, and how far."""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from clipstack.events import SILENT, Events
from clipstack.search import background_phrases
from clipstack.search.cutoff import SAMPLE, Cutoff, background_queries
from clipstack.search.query_vector import combined

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from clipstack.index.base import Collection, Hit
    from clipstack.index.filters.syntax import Expression
    from clipstack.search.query import Query
    from clipstack.search.query_encoding import QueryEncoder

    Floats = npt.NDArray[np.float32]

_PICTURES = 400
_CACHED_CUTOFFS = 16


class Significance:
    """Tells how far the hits of queries stand out of one collection.

    A Cutoff serves all queries whose terms are of the same kinds and weights, as long as the
    collection has as many rows.

    Args:
        collection: of an index that is open.
        query_encoder: of its model; for queries with a text.
        events: reports what takes a while, and queries that nothing can be told of.
    """

    def __init__(
        self, collection: Collection, query_encoder: QueryEncoder, events: Events = SILENT
    ) -> None:
        self._collection = collection
        self._query_encoder = query_encoder
        self._events = events
        self._cutoffs: dict[tuple[object, ...], Cutoff | None] = {}
        self._lock = threading.Lock()

    def cutoff(self, query: Query) -> Cutoff | None:
        """The Cutoff for a query, among the rows that its filters let through.

        Returns:
            None if the query asks for none, or if there are too few rows.
        """
        if not query.needs_cutoff:
            return None
        filter = query.filters.expression()
        rows = self._collection.count(filter)
        key = (rows, filter, query.prompt, *((term.is_text, term.weight) for term in query.terms))
        with self._lock:
            if key not in self._cutoffs:
                while len(self._cutoffs) >= _CACHED_CUTOFFS:
                    del self._cutoffs[next(iter(self._cutoffs))]
                self._cutoffs[key] = self._new_cutoff(query, rows, filter)
            cutoff = self._cutoffs[key]
        if cutoff is None:
            self._events.note(
                "Too few pictures to tell what stands out: nothing is left out for it."
            )
        return cutoff

    def _new_cutoff(self, query: Query, rows: int, filter: Expression | None) -> Cutoff | None:
        are_texts = [term.is_text for term in query.terms]
        pictures = 0 if all(are_texts) else _PICTURES
        sample = self._collection.sample(SAMPLE + pictures, rows=rows, filter=filter)
        pictures = min(pictures, len(sample) // 3)
        phrases = self._phrases(query.prompt) if any(are_texts) else sample[:0]
        balance_sample = functools.cache(self._collection.sample)
        try:
            background = background_queries(
                are_texts,
                lambda vectors: combined(query.terms, vectors, balance_sample),
                phrases,
                sample[:pictures],
            )
            return Cutoff(sample[pictures:], rows, background, self._collection.info.metric)
        except ValueError:
            return None

    def _phrases(self, prompt: str) -> Floats:
        encoder = self._query_encoder.encoder(self._collection.info)
        return background_phrases.vectors(encoder.info, lambda: encoder, self._events, prompt)


def with_significance(cutoff: Cutoff, query: Floats, hits: Sequence[Hit]) -> list[Hit]:
    """The hits with their significance.

    Args:
        query: float32 [dimension], the vector that was searched for.
        hits: the `cutoff.best` best ones, or all there are, best first.
    """
    import numpy as np

    values = cutoff.significance(query, np.array([hit.score for hit in hits]))
    return [
        replace(hit, significance=round(float(value), 2))
        for hit, value in zip(hits, values, strict=True)
    ]
