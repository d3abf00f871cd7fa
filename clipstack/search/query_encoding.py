"""The vectors of terms: their model is loaded once, beside other work."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from clipstack.errors import ClipstackError
from clipstack.index.schema import CollectionInfo
from clipstack.model_selection import encoder_for, model_for
from clipstack.search import term_vectors
from clipstack.search.term_vectors import Encoded, Material
from clipstack.settings import Settings

if TYPE_CHECKING:
    from clipstack.encoders.base import Encoder


class Encoding:
    """The model of a collection, for as many queries as come.

    Loading the model and encoding begin at once, beside other work.

    Args:
        info: of the collection, or what it was the last time.
        is_guess: it is what it was the last time. Then the model is loaded beside other work too;
            else here, as two threads that import modules are slower than one.
        progress: called with bytes done and bytes in all while the model is fetched.
        note: told what takes a while.
        first: what will be asked for first: encoded as soon as can be.
    """

    def __init__(
        self,
        settings: Settings,
        info: CollectionInfo,
        *,
        is_guess: bool = False,
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
        self._info = info
        self._ahead: Future[tuple[Encoder, list[Encoded]]] | None = None
        if first is None or any(one.encodes for one in first):
            if not is_guess:
                with contextlib.suppress(ClipstackError):  # it is tried again, and then says why
                    self._encoder = self._load(info, download=False)
            self._ahead = Future()
            threading.Thread(
                target=self._begin, args=(self._ahead,), name="encode", daemon=True
            ).start()

    def _begin(self, ahead: Future[tuple[Encoder, list[Encoded]]]) -> None:
        try:
            encoder = self._encoder or self._load(self._info, download=False)
            found: list[Encoded] = []
            if self._first:
                found = term_vectors.encode(self._first, lambda: encoder, self._settings)
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
            return term_vectors.encode(materials, lambda: self._loaded(info), self._settings)

    def encoder(self, info: CollectionInfo) -> Encoder:
        """The loaded model.

        Raises:
            ClipstackError: it can't be loaded, or is not the collection's.
        """
        with self._one_at_a_time:
            self._begun(info)
            return self._loaded(info)

    def _begun(self, info: CollectionInfo) -> list[Encoded]:
        """What was encoded ahead, once; a guess that was wrong is forgotten."""
        ahead, self._ahead = self._ahead, None
        if ahead is None or self._info != info:
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
