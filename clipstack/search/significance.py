"""Which hits of a query stand out of a collection, and how far."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from clipstack.search.cutoff import SAMPLE, Cutoff, imitations

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from clipstack.index.base import Collection, Hit
    from clipstack.index.filters.syntax import Expression

    Floats = npt.NDArray[np.float32]

_PICTURES = 400
_KEPT = 16


class Significance:
    """What stands out in one collection; kept between queries for as long as its rows are as many.

    Args:
        collection: of an index that is open.
        phrases: gives the vectors of `background.vectors` in a prompt; for queries with a text.
    """

    def __init__(self, collection: Collection, phrases: Callable[[str], Floats]) -> None:
        self._collection = collection
        self._phrases = phrases
        self._cutoffs: dict[tuple[object, ...], Cutoff | None] = {}
        self._one_at_a_time = threading.Lock()

    def cutoff(
        self,
        terms: Sequence[tuple[bool, float]],
        combine: Callable[[Sequence[Floats]], Floats],
        filter: Expression | None = None,
        prompt: str = "none",
    ) -> Cutoff | None:
        """For queries made of such terms, among the rows a filter lets through.

        Args:
            terms: whether each is a text, and its weight.
            combine: makes one query of the terms' vectors.
            prompt: what the query's texts are put into.

        Returns:
            None where there are too few rows to tell.
        """
        rows = self._collection.count(filter)
        key = (rows, filter, prompt, *terms)
        with self._one_at_a_time:
            if key not in self._cutoffs:
                while len(self._cutoffs) >= _KEPT:
                    del self._cutoffs[next(iter(self._cutoffs))]
                are_texts = [is_text for is_text, _ in terms]
                self._cutoffs[key] = self._made(rows, are_texts, combine, filter, prompt)
            return self._cutoffs[key]

    def _made(
        self,
        rows: int,
        are_texts: Sequence[bool],
        combine: Callable[[Sequence[Floats]], Floats],
        filter: Expression | None,
        prompt: str,
    ) -> Cutoff | None:
        pictures = 0 if all(are_texts) else _PICTURES
        sample = self._collection.sample(SAMPLE + pictures, rows=rows, filter=filter)
        apart = min(pictures, len(sample) // 3)
        phrases = self._phrases(prompt) if any(are_texts) else sample[:0]
        try:
            made = imitations(are_texts, combine, phrases, sample[:apart])
            return Cutoff(sample[apart:], rows, made, self._collection.info.metric)
        except ValueError:
            return None


def marked(cutoff: Cutoff, query: Floats, hits: Sequence[Hit]) -> list[Hit]:
    """The hits with how far each stands out.

    Args:
        query: float32 [dimension], what was searched for.
        hits: the `cutoff.best` best ones, or all there are, best first.
    """
    import numpy as np

    found = cutoff.standing_out(query, np.array([hit.score for hit in hits]))
    return [
        replace(hit, stands_out=round(float(far), 2)) for hit, far in zip(hits, found, strict=True)
    ]
