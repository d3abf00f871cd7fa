"""Which rows of a file are kept, and why others are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipstack.index.schema import CollectionInfo, row_id
from clipstack.index.transfer.exchange_format import Batch
from clipstack.index.transfer.validation import RowValidator

NOW = 1_700_000_000


def check(metric: str = "COSINE", vector: Any = (1, 2), **values: Any) -> tuple[list, dict]:
    """What becomes of one row with these values."""
    info = CollectionInfo("images", "m", "", "f", 2, metric)
    columns = {name: [value] for name, value in ({"path": "/a.jpg"} | values).items()}
    batch = Batch(0, columns, np.array([vector], np.float32))
    return RowValidator(info, NOW).rows(batch)


def kept(**values: Any) -> Any:
    rows, problems = check(**values)
    assert not problems
    return rows[0]


def reason(**values: Any) -> str:
    rows, problems = check(**values)
    assert not rows
    return problems[0].reason


def test_only_a_path_and_a_vector_are_needed() -> None:
    row = kept(path="/a.jpg")
    assert (row.id, row.digest, row.format, row.size, row.mtime_ns) == (
        row_id("/a.jpg"),
        "",
        "",
        0,
        0,
    )
    assert (row.width, row.height, row.taken_at, row.imported_at) == (0, 0, 0, NOW)
    assert row.facts == {}
    assert kept(digest=None, size=None, facts=None, tags=None, imported_at=None).imported_at == NOW


def test_paths_are_those_an_import_would_have() -> None:
    here = Path.cwd()
    assert kept(path="a/../b.jpg").path == str(here / "b.jpg")
    assert kept(path="/x//y/./z.jpg").path == "/x/y/z.jpg"
    assert kept(path="~/a.jpg").path == str(here / "~" / "a.jpg")


def test_a_path_with_its_id_stays_as_it_is() -> None:
    path = "C:\\pictures\\a.jpg"
    assert kept(path=path, id=row_id(path)).path == path
    assert kept(path="/x//y", id="0" * 32).id == row_id("/x/y")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (None, "no path"),
        ("", "no path"),
        ("/a\0b", "unusable path"),
        ("/" + "é" * 2048, "unusable path"),
        ("https://example.com/a.jpg", "unusable path"),
        ("s3://bucket/a.jpg", "unusable path"),
        ("D:\\pictures\\a.jpg", "unusable path"),
    ],
)
def test_paths_that_are_none(path: str | None, why: str) -> None:
    assert reason(path=path) == why


def test_the_longest_path() -> None:
    assert kept(path="/" + "é" * 2047 + "x").path.endswith("x")


@pytest.mark.parametrize(
    ("vector", "why"),
    [
        ((1, np.nan), "not finite"),
        ((np.inf, 1), "not finite"),
        ((1, -np.inf), "not finite"),
        ((0, -0.0), "all zeros"),
    ],
)
def test_vectors_that_are_none(vector: tuple[float, float], why: str) -> None:
    assert reason(vector=vector) == why


def test_vectors_whose_squares_are_out_of_range() -> None:
    for vector in ((1e-40, 0), (3e38, -3e38)):
        rows, problems = check(vector=vector)
        assert not problems
        assert rows[0].vector.tolist() == np.array(vector, np.float32).tolist()


@pytest.mark.parametrize("metric", ["L2", "IP"])
def test_zeros_are_a_vector_where_they_can_be_compared(metric: str) -> None:
    assert check(metric=metric, vector=(0, 0))[1] == {}


@pytest.mark.parametrize(
    "value",
    [{"size": 2**63}, {"mtime_ns": -(2**63) - 1}, {"digest": "d" * 65}, {"format": "ä" * 17}],
)
def test_values_that_do_not_fit(value: dict[str, Any]) -> None:
    assert reason(**value) == "unusable value"


@pytest.mark.parametrize(
    "facts",
    [
        "",
        "{}",
        '{"camera": "Leica", "lat": 1, "lon": -2.5, "orientation": 3}',
        '{"keywords": ["a"], "tags": ["b"], "own": {"deep": [1, null, true]}}',
        '{"title": "\\u0000 and \\u00e9"}',
    ],
)
def test_facts_that_are_kept(facts: str) -> None:
    import json

    assert kept(facts=facts).facts == json.loads(facts or "{}")


@pytest.mark.parametrize(
    ("facts", "detail"),
    [
        ("{", "no JSON"),
        ("[]", "no JSON object"),
        ('"text"', "no JSON object"),
        ('{"a": NaN}', "NaN is no number"),
        ('{"a": 1e400}', "1e400 is too large"),
        ('{"a": 9223372036854775808}', "too large"),
        ('{"a": "\t"}', "no JSON"),
        ('{"a": "\\ud800"}', "half a character"),
        ("[" * 100_000, "nested too deeply"),
        ('{"path": "/b"}', "path: a column has that name"),
        ('{"vector": [1]}', "vector: a column has that name"),
        ('{"camera": 5}', "camera must be a text"),
        ('{"lat": "48"}', "lat must be a number"),
        ('{"lon": true}', "lon must be a number"),
        ('{"keywords": "sea"}', "keywords must be a list of texts"),
        ('{"tags": ["a", 5]}', "tags must be a list of texts"),
        ('{"tags": ["a\\u0007"]}', "control characters"),
        ('{"tags": [""]}', "empty"),
        ('{"a": "' + "x" * 70_000 + '"}', "over 65536 bytes"),
    ],
)
def test_facts_that_are_none(facts: str, detail: str) -> None:
    rows, problems = check(facts=facts)
    assert not rows
    assert problems[0].reason == "unusable facts"
    assert detail in problems[0].detail


def test_what_is_made_for_filters_is_made_anew() -> None:
    assert kept(facts='{"camera": "A", "camera_words": ["b"], "labels": 5}').facts == {
        "camera": "A"
    }


def test_a_column_of_tags_counts_over_the_facts() -> None:
    facts = '{"tags": ["old"], "title": "t"}'
    assert kept(facts=facts, tags=["new"]).facts == {"title": "t", "tags": ["new"]}
    assert kept(facts=facts, tags=[]).facts == {"title": "t", "tags": []}
    assert kept(facts=facts, tags=None).facts == {"title": "t"}
    assert kept(facts=facts).facts == {"tags": ["old"], "title": "t"}
    assert reason(tags=["a" * 101]) == "unusable facts"
    assert reason(tags=["a", None]) == "unusable facts"


def test_a_bad_row_costs_no_other_and_the_last_of_a_path_counts() -> None:
    info = CollectionInfo("images", "m", "", "f", 2, "COSINE")
    vectors = np.array([[1, 1], [np.nan, 1], [2, 2], [3, 3]], np.float32)
    values = {"path": ["/a", "/b", "/c", "/a"], "size": [1, 2, 3, 4]}
    rows, problems = RowValidator(info, NOW).rows(Batch(0, values, vectors))
    assert [(row.path, row.size, row.vector[0]) for row in rows] == [("/a", 4, 3), ("/c", 3, 2)]
    assert list(problems) == [1]
