"""Encoding of queries, with a model that is loaded once and while other work goes on."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from clipstack.errors import ClipstackError
from clipstack.events import SILENT, Events
from clipstack.index.schema import CollectionInfo
from clipstack.model_selection import encoder_for, model_for
from clipstack.search import term_vectors
from clipstack.search.term_vectors import Encoded, TermInput
from clipstack.settings import Settings

if TYPE_CHECKING:
    from clipstack.encoders.base import Encoder

_LINGER_SECONDS = 0.25
"""A service that has not answered at the end is given that long before it is reported."""


class QueryEncoder:
    """The model of a collection, for any number of queries.

    A thread loads the model and encodes `first` from the beginning.

    Args:
        info: of the collection.
        is_guess: `info` comes from the cache. Then the thread imports the model's modules, too;
            otherwise the caller does, as two threads that import modules are slower than one.
        events: reports a download, and what takes a while.
        first: inputs of the first query, if they are known.
    """

    def __init__(
        self,
        settings: Settings,
        info: CollectionInfo,
        *,
        is_guess: bool = False,
        events: Events = SILENT,
        first: Sequence[TermInput] | None = None,
    ) -> None:
        self._settings = settings
        self._events = events
        self._encoder: Encoder | None = None
        self._lock = threading.Lock()
        self._first = first
        self._info = info
        self._future: Future[tuple[Encoder, list[Encoded]]] | None = None
        if first is None or any(each.needs_model for each in first):
            if not is_guess and not settings.encoder_urls:
                with contextlib.suppress(ClipstackError):  # `_loaded` tries again, and raises it
                    self._encoder = self._load(info, download=False)
            self._future = Future()
            threading.Thread(
                target=self._encode_first, args=(self._future,), name="encode", daemon=True
            ).start()

    def _encode_first(self, future: Future[tuple[Encoder, list[Encoded]]]) -> None:
        try:
            encoder = self._encoder or self._load(self._info, download=False)
            vectors: list[Encoded] = []
            if self._first:
                vectors = term_vectors.encode(self._first, lambda: encoder, self._settings)
            future.set_result((encoder, vectors))
        except BaseException as error:
            future.set_exception(error)

    def vectors(self, info: CollectionInfo, inputs: Sequence[TermInput]) -> list[Encoded]:
        """The vector of each input, as `term_vectors.encode` gives it.

        Several threads may call this; one of them encodes at a time.

        Args:
            info: of the collection that is searched.

        Raises:
            ClipstackError: the model can't be loaded, or is not the collection's.
        """
        if not any(each.needs_model for each in inputs):
            return [None] * len(inputs)
        with self._lock:
            vectors = self._take_first(info)
            if vectors and self._first and list(inputs) == list(self._first):
                return vectors
            return term_vectors.encode(inputs, lambda: self._loaded(info), self._settings)

    def encoder(self, info: CollectionInfo) -> Encoder:
        """The loaded model.

        Args:
            info: of the collection that is searched.

        Raises:
            ClipstackError: it can't be loaded, or is not the collection's.
        """
        with self._lock:
            self._take_first(info)
            return self._loaded(info)

    def _take_first(self, info: CollectionInfo) -> list[Encoded]:
        """The vectors of `first`, once, if the model was loaded for this collection."""
        future, self._future = self._future, None
        if future is None or self._info != info:
            return []
        has_waited = self._first is not None or not future.done()
        try:
            self._encoder, vectors = future.result()
        except ClipstackError:  # `_loaded` tries again, and raises it
            if self._settings.encoder_urls and has_waited:  # as long as `settings.wait` allows
                raise
            return []
        return vectors

    def close(self) -> None:
        """Close the connections to encoder services, and report those that were left out."""
        close = getattr(self._encoder, "close", None)
        if close:
            close(linger=_LINGER_SECONDS)

    def _loaded(self, info: CollectionInfo) -> Encoder:
        if self._encoder is None:
            self._encoder = self._load(info, download=True)
        return self._encoder

    def _load(self, info: CollectionInfo, *, download: bool) -> Encoder:
        model = model_for(self._settings, info, download=download, events=self._events)
        return encoder_for(self._settings, model, events=self._events)
