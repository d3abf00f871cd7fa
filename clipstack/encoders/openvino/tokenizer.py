"""Tokenizers of an export: texts in, token ids out, without transformers."""

from __future__ import annotations

import os
import re
import string
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipstack.encoders.validation import replace_surrogates

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FILE = "tokenizer.json"
PIECES = "spiece.model"


def load(folder: Path, rules: Mapping[str, Any]) -> Tokenizer | SentencePieces:
    """The tokenizer of an export.

    Args:
        folder: of the export.
        rules: its `text` part, as `tracing.save_tokenizer` gave it.
    """
    return (SentencePieces if (folder / PIECES).is_file() else Tokenizer)(folder, rules)


class Tokenizer:
    """A tokenizer from a tokenizer.json."""

    def __init__(self, folder: Path, rules: Mapping[str, Any]) -> None:
        # Its own threads are of no use here, and make it warn when a process forks later.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from tokenizers import Tokenizer as Backend

        self._rules = rules
        self._backend = Backend.from_file(str(folder / FILE))
        self._limit()
        # Padding and truncation are its state.
        self._lock = threading.Lock()

    def ids(self, texts: Sequence[str]) -> dict[str, NDArray[np.int64]]:
        """int64 `input_ids` [n, length] and, for CLIP, `attention_mask` of the same shape."""
        import numpy as np

        with self._lock:
            batch = self._backend.encode_batch([replace_surrogates(text) for text in texts])
        inputs = {"input_ids": np.array([encoding.ids for encoding in batch], np.int64)}
        if self._rules["attention_mask"]:
            inputs["attention_mask"] = np.array(
                [encoding.attention_mask for encoding in batch], np.int64
            )
        return inputs

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, with those that mark its ends, before any is cut off."""
        with self._lock:
            self._backend.no_truncation()
            self._backend.no_padding()
            try:
                batch = self._backend.encode_batch([replace_surrogates(text) for text in texts])
            finally:
                self._limit()
        return [len(encoding.ids) for encoding in batch]

    def _limit(self) -> None:
        length = int(self._rules["length"])
        self._backend.enable_truncation(max_length=length)
        self._backend.enable_padding(
            pad_id=int(self._rules["pad_id"]),
            pad_token=str(self._rules["pad_token"]),
            length=length if self._rules["padding"] == "max_length" else None,
        )


class SentencePieces:
    """The same from a SentencePiece model, as the first SigLIP models have it.

    Source: transformers, models/siglip/tokenization_siglip.py: lower case, no punctuation, one
    space between words; a piece in front keeps SentencePiece from dropping the first space.
    """

    def __init__(self, folder: Path, rules: Mapping[str, Any]) -> None:
        from sentencepiece import SentencePieceProcessor

        self._rules = rules
        self._model = SentencePieceProcessor(model_file=str(folder / PIECES))
        self._front = str(rules["unk_token"])
        self._skipped = len(self._model.encode(self._front))

    def ids(self, texts: Sequence[str]) -> dict[str, NDArray[np.int64]]:
        """int64 `input_ids` [n, length]."""
        import numpy as np

        length = int(self._rules["length"])
        ids = np.full((len(texts), length), int(self._rules["pad_id"]), np.int64)
        for row, text in zip(ids, texts, strict=True):
            tokens = [*self._tokens(text)[: length - 1], int(self._rules["eos_id"])]
            row[: len(tokens)] = tokens
        return {"input_ids": ids}

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, with the one that marks its end, before any is cut off."""
        return [len(self._tokens(text)) + 1 for text in texts]

    def _tokens(self, text: str) -> list[int]:
        clean = "\u2581" + replace_surrogates(text).replace("\u2581", " ")
        if self._rules["lowercase"]:
            clean = clean.lower()
        clean = clean.translate(str.maketrans("", "", string.punctuation))
        clean = re.sub(r"\s+", " ", clean).strip()
        tokens: list[int] = self._model.encode(self._front + clean)
        return tokens[self._skipped :]
