"""Fields derived from a picture's facts for filters: `camera_words` and `labels`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from clipstack.errors import UsageError

MAX_TAG_BYTES = 100
DERIVED_FIELDS = ("camera_words", "labels")


@lru_cache(4096)
def fold_case(text: str) -> str:
    """A tag or keyword in the form that is compared: NFC, case-folded, with single spaces."""
    return " ".join(unicodedata.normalize("NFC", text.casefold()).split())


def check_tag(tag: str, option: str) -> str:
    """A tag in the form that is stored: NFC, with single spaces.

    Args:
        option: where the user gave it, for errors.

    Raises:
        UsageError: it is empty or too long, or has control characters.
    """
    normalized = unicodedata.normalize("NFC", " ".join(tag.split()))
    if not normalized:
        raise UsageError(f"{option}: the tag is empty")
    if not normalized.isprintable():
        raise UsageError(f"{option} {normalized!r}: a tag can't hold control characters")
    if len(normalized.encode()) > MAX_TAG_BYTES:
        raise UsageError(
            f"{option}: a tag is at most {MAX_TAG_BYTES} bytes, not {normalized[:20]}..."
        )
    return normalized


@lru_cache(256)
def split_words(text: str) -> tuple[str, ...]:
    """The distinct words of a name, case-folded."""
    return tuple(dict.fromkeys(re.findall(r"\w+", fold_case(text))))


def without_derived_fields(facts: Mapping[str, Any]) -> dict[str, Any]:
    """`facts` without derived fields."""
    return {name: value for name, value in facts.items() if name not in DERIVED_FIELDS}


def with_derived_fields(facts: Mapping[str, Any]) -> dict[str, Any]:
    """`facts` with `camera_words` and `labels`, computed from the camera, tags and keywords.

    Milvus 2.3 has no `like` for a substring, and none that ignores case.
    """
    derived = without_derived_fields(facts)
    camera = derived.get("camera")
    if isinstance(camera, str) and (camera_words := split_words(camera)):
        derived["camera_words"] = list(camera_words)
    labels = [
        fold_case(label)
        for name in ("tags", "keywords")
        for label in _as_list(derived.get(name))
        if isinstance(label, str)
    ]
    if labels:
        derived["labels"] = list(dict.fromkeys(labels))
    return derived


def _as_list(value: Any) -> list[Any]:
    """`value` if it is a list, else an empty one; rows from other programs may hold anything."""
    return list(value) if isinstance(value, list | tuple) else []
