"""A picture's facts in, the same with what filters look for out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from clipstack.errors import UsageError

MAX_TAG_BYTES = 100
FOR_FILTERS = ("camera_words", "labels")


@lru_cache(4096)
def folded(text: str) -> str:
    """A tag or keyword as it is compared: composed, in small letters, single spaces."""
    return " ".join(unicodedata.normalize("NFC", text.casefold()).split())


def check_tag(tag: str, option: str) -> str:
    """`tag` on one line, as it is kept.

    Raises:
        UsageError: it is empty, too long, or not text.
    """
    kept = unicodedata.normalize("NFC", " ".join(tag.split()))
    if not kept:
        raise UsageError(f"{option}: the tag is empty")
    if not kept.isprintable():
        raise UsageError(f"{option} {kept!r}: a tag can't hold control characters")
    if len(kept.encode()) > MAX_TAG_BYTES:
        raise UsageError(f"{option}: a tag is at most {MAX_TAG_BYTES} bytes, not {kept[:20]}...")
    return kept


@lru_cache(256)
def words(text: str) -> tuple[str, ...]:
    """The words of a name, as they are compared, each once."""
    return tuple(dict.fromkeys(re.findall(r"\w+", folded(text))))


def shown(facts: Mapping[str, Any]) -> dict[str, Any]:
    """`facts` without what is there for filters only."""
    return {name: value for name, value in facts.items() if name not in FOR_FILTERS}


def with_words(facts: Mapping[str, Any]) -> dict[str, Any]:
    """`facts` with `camera_words` and `labels`, made anew from the camera, tags and keywords.

    Milvus 2.3 has no `like` in the middle of a text and none that leaves case aside.
    """
    made = shown(facts)
    camera = made.get("camera")
    if isinstance(camera, str) and (camera_words := words(camera)):
        made["camera_words"] = list(camera_words)
    labels = [
        folded(label)
        for name in ("tags", "keywords")
        for label in _listed(made.get(name))
        if isinstance(label, str)
    ]
    if labels:
        made["labels"] = list(dict.fromkeys(labels))
    return made


def _listed(value: Any) -> list[Any]:
    """`value` where it is a list; rows from other programs may hold anything."""
    return list(value) if isinstance(value, list | tuple) else []
