"""The filters in docs/filters.md are what it says."""

from __future__ import annotations

import pytest

from clipstack.index.filters.parse import parse
from tests.documented_filters import EXAMPLES
from tests.filters_and_rows import is_true
from tests.material import row

BARE = row("/a.jpg", [0])
KNOWN = {
    **{"camera": "NIKON D750", "lat": 48.2, "orientation": 6, "title": "Rome"},
    **{"tags": ["sea", "dog"], "price": 9.25, "sold": True, "place": {"city": "Rome"}},
}
OTHER = KNOWN | {"lat": 48.0, "title": "100% wool"}


def test_all_are_read() -> None:
    assert len(EXAMPLES) > 25
    assert sum(found is None for found in EXAMPLES.values()) > 5


@pytest.mark.parametrize("text", EXAMPLES)
def test_what_is_found(text: str) -> None:
    filter, found = parse(text), EXAMPLES[text]
    if found is not None:
        assert is_true(filter, BARE) is found
        some = [row("/a.jpg", [0], facts=facts) for facts in (KNOWN, OTHER)]
        assert any(is_true(filter, one) is not found for one in some)
