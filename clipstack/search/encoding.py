"""The vectors of terms: their model is loaded once, beside other work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from clipstack import remembered
from clipstack.errors import ClipstackError
from clipstack.index.schema import CollectionInfo
from clipstack.search import terms
from clipstack.search.terms import Encoded, Material
from clipstack.settings import Settings
from clipstack.workspace import encoder_for, model_for

if TYPE_CHECKING:
    from clipstack.encoders.base import Encoder


class Encoding:
    """The model of a collection, for as many queries as come.

    Which model the collection has is only known once the index is open; what it was the last time
    is a good guess, and loading it begins at once.

    Args:
        progress: called with bytes done and bytes in all while the model is fetched.
        note: told what takes a while.
        first: what will be asked for first: encoded as soon as can be.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        progress: Callable[[int, int], None] | None,
        note: Callable[[str], None],
        first: Sequence[Material] | None = None,
    ) -> None:
        self._settings = settings
        self._progress = progress
        self._note = note
        self._encoder: Encoder | None = None
        self._one_at_a_time = threading.Lock()
        self._first = first
        self._guess = remembered.read(settings)
        self._ahead: Future[tuple[Encoder, list[Encoded]]] | None = None
        if self._guess and (first is None or any(one.encodes for one in first)):
            self._ahead = Future()
            threading.Thread(
                target=self._begin, args=(self._guess, self._ahead), name="encode", daemon=True
            ).start()

    def _begin(self, guess: CollectionInfo, ahead: Future[tuple[Encoder, list[Encoded]]]) -> None:
        try:
            encoder = self._load(guess, download=False)
            found: list[Encoded] = []
            if self._first:
                found = terms.encode(self._first, lambda: encoder, self._settings)
            ahead.set_result((encoder, found))
        except BaseException as error:
            ahead.set_exception(error)

    def vectors(self, info: CollectionInfo, materials: Sequence[Material]) -> list[Encoded]:
        """For each of `materials` the vector, or what `terms.encode` has instead.

        May be called from several threads; one of them encodes at a time.

        Raises:
            ClipstackError: the model can't be loaded, or is not the collection's.
        """
        if not any(one.encodes for one in materials):
            return [None] * len(materials)
        with self._one_at_a_time:
            begun = self._begun(info)
            if begun and self._first and list(materials) == list(self._first):
                return begun
            return terms.encode(materials, lambda: self._loaded(info), self._settings)

    def encoder(self, info: CollectionInfo) -> Encoder:
        """The loaded model.

        Raises:
            ClipstackError: it can't be loaded, or is not the collection's.
        """
        with self._one_at_a_time:
            self._begun(info)
            return self._loaded(info)

    def _begun(self, info: CollectionInfo) -> list[Encoded]:
        """What was encoded ahead, once; the encoder of the guess is kept if that was right."""
        ahead, self._ahead = self._ahead, None
        if ahead is None or self._guess != info:
            return []
        try:
            self._encoder, found = ahead.result()
        except ClipstackError:  # it is tried again, and then says why
            return []
        return found

    def _loaded(self, info: CollectionInfo) -> Encoder:
        if self._encoder is None:
            self._encoder = self._load(info, download=True)
        return self._encoder

    def _load(self, info: CollectionInfo, *, download: bool) -> Encoder:
        model = model_for(self._settings, info, download=download, progress=self._progress)
        return encoder_for(self._settings, model, say=self._note)
