"""Texts in, token ids out, without transformers: by the tokenizer an export wrote down."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipstack.encoders.vectors import sound

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FILE = "tokenizer.json"


class Tokenizer:
    """What turns a batch of texts into what the text tower reads.

    Args:
        folder: of an export.
        rules: its `text` part: padding, length, attention_mask, pad_id and pad_token.
    """

    def __init__(self, folder: Path, rules: Mapping[str, Any]) -> None:
        # Its own threads are of no use here, and make it warn when a process forks later.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from tokenizers import Tokenizer as Backend

        self._rules = rules
        self._counting = Backend.from_file(str(folder / FILE))
        self._counting.no_truncation()
        self._counting.no_padding()
        self._backend = Backend.from_file(str(folder / FILE))
        length = int(rules["length"])
        self._backend.enable_truncation(max_length=length)
        self._backend.enable_padding(
            pad_id=int(rules["pad_id"]),
            pad_token=str(rules["pad_token"]),
            length=length if rules["padding"] == "max_length" else None,
        )
        self._one_at_a_time = threading.Lock()

    def ids(self, texts: Sequence[str]) -> dict[str, NDArray[np.int64]]:
        """int64 `input_ids` [n, length] and, for CLIP, `attention_mask` of the same shape."""
        import numpy as np

        with self._one_at_a_time:
            batch = self._backend.encode_batch([sound(text) for text in texts])
        found = {"input_ids": np.array([one.ids for one in batch], np.int64)}
        if self._rules["attention_mask"]:
            found["attention_mask"] = np.array([one.attention_mask for one in batch], np.int64)
        return found

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, with those that mark its ends, before any is cut off."""
        with self._one_at_a_time:
            batch = self._counting.encode_batch([sound(text) for text in texts])
        return [len(one.ids) for one in batch]
