"""What filters find in SQLite is what they mean, in rows that hold what nobody expects."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from clipstack.errors import UsageError
from clipstack.index.filters.parse import parse
from clipstack.index.filters.syntax import Compare, Expression, Field, In, Like, Or, below_folder
from clipstack.index.filters.to_sql import to_sql
from clipstack.index.local import row_table, schema
from clipstack.index.schema import Row
from tests.filters_and_rows import filters, is_true, rows
from tests.material import row

ROWS = rows(300, seed=1)


@pytest.fixture(scope="module")
def database() -> Iterator[sqlite3.Connection]:
    with sqlite3.connect(":memory:") as connection:
        yield filled(connection, ROWS)
    connection.close()


def filled(connection: sqlite3.Connection, rows: list[Row]) -> sqlite3.Connection:
    for statement in schema.create_statements(1):
        connection.execute(statement)
    row_table.insert(connection, 1, enumerate(rows), version=1)
    return connection


def select(database: sqlite3.Connection, filter: Expression) -> set[str]:
    condition, parameters = to_sql(filter, schema.words_table(1))
    query = f"SELECT path FROM {schema.rows_table(1)} WHERE {condition}"
    return {path for (path,) in database.execute(query, parameters)}


def test_random_filters(database: sqlite3.Connection) -> None:
    some = 0
    for text in filters(1000, seed=2):
        filter = parse(text)
        expected = {row.path for row in ROWS if is_true(filter, row)}
        assert select(database, filter) == expected, text
        some += 0 < len(expected) < len(ROWS)
    assert some > 400


def test_what_a_field_may_hold(database: sqlite3.Connection) -> None:
    """The examples of the documentation, with a missing field and values of all kinds."""
    values = {"missing": {}, "null": {"x": None}, "1": {"x": 1}, "1.0": {"x": 1.0}}
    values |= {"true": {"x": True}, "text": {"x": "1"}, "list": {"x": [1, "a"]}, "none": {"x": []}}
    values |= {"object": {"x": {"k": 1}}, "big": {"x": 2**53 + 1}, "less": {"x": -1}}
    held = {
        '$meta["x"] == 1': {"1", "1.0"},
        '$meta["x"] == 1.0': {"1", "1.0"},
        '$meta["x"] == true': {"true"},
        '$meta["x"] == "1"': {"text"},
        '$meta["x"] < 1': {"less"},
        '$meta["x"] != 1': values.keys() - {"1", "1.0"},
        'not ($meta["x"] < 1)': values.keys() - {"less"},
        '$meta["x"] in [1, -1]': {"1", "1.0", "less"},
        '$meta["x"] like "%"': {"text"},
        'exists $meta["x"]': values.keys() - {"missing"},
        'json_contains($meta["x"], 1)': {"list"},
        'not (json_contains($meta["x"], 1))': values.keys() - {"list"},
        '$meta["x"]["k"] == 1': {"object"},
        '$meta["x"][1] == "a"': {"list"},
        '$meta["x"] == 9007199254740993': {"big"},
        '$meta["x"] == 9007199254740992': set(),
        '$meta["x"] == 9007199254740992.0': {"big"},
    }
    with sqlite3.connect(":memory:") as connection:
        table = filled(connection, [row(path, [0], facts=facts) for path, facts in values.items()])
        assert {text: select(table, parse(text)) for text in held} == held
    connection.close()


@pytest.mark.parametrize(
    "folder",
    [
        "/a",
        "/a b",
        "/50%",
        "/un_der",
        'q"uote',
        "/back\\slash",
        "/[x]{y}",
        "/émoji 😀",
        "/new\nline",
        "/",
    ],
)
def test_under_means_below_and_nothing_else(folder: str) -> None:
    inside = {f"{folder.rstrip('/')}/{name}" for name in ("x.jpg", "deep/y.jpg")}
    outside = {f"{folder}x/z.jpg", "/unXder/z.jpg", "/50x/z.jpg", f"{folder}.jpg", "relative"}
    if folder == "/":
        inside, outside = inside | (outside - {"relative"}), {"relative"}
    with sqlite3.connect(":memory:") as connection:
        table = filled(connection, [row(path, [0]) for path in inside | outside])
        assert select(table, below_folder(folder)) == inside
    connection.close()


def test_long_filters(database: sqlite3.Connection) -> None:
    """SQLite has limits on an expression's depth, its parameters, and a pattern."""
    paths = [one.path for one in ROWS]
    others = [f"/other/{number}" for number in range(40_000)]
    assert select(database, In(Field("path"), (*others, *paths[:5]))) == set(paths[:5])
    missing = In(Field("$meta", ("x",)), tuple(range(10**6, 10**6 + 5000)))
    assert select(database, missing) == set()
    either = Or(tuple(Compare(Field("path"), "==", path) for path in (*others[:9000], paths[0])))
    assert select(database, either) == {paths[0]}
    floats = In(Field("lat"), tuple(number + 0.5 for number in range(40_000)))
    with pytest.raises(UsageError, match="too long"):
        to_sql(floats, "words")
    assert select(database, parse(f"path like '%{'[' * 9000}%'")) == set()


def test_values_are_never_part_of_the_sql() -> None:
    hostile = "'; DROP TABLE x; --\"?"
    for filter in (
        Compare(Field("path"), "==", hostile),
        Compare(Field("camera"), "==", hostile),
        In(Field("camera"), (hostile,) * 300),
        Like(Field("path"), f"%{hostile}%"),
        parse('$meta["\'; DROP TABLE x"] == 1'),
    ):
        condition, parameters = to_sql(filter, "words")
        assert "DROP" not in condition
        assert any("DROP" in str(parameter) for parameter in parameters)


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("taken_at >= 5 and taken_at < 9", "(taken_at>? AND taken_at<?)"),
        ('path like "/a/%"', "(path>? AND path<?)"),
        ('digest == "x"', "(digest=?)"),
        ('id in ["a", "b"]', "(id=?)"),
        ('json_contains(labels, "dog")', "(kind=? AND word=?)"),
        ('json_contains_all(camera_words, ["a", "b"])', "(kind=? AND word=?)"),
    ],
)
def test_indexes_are_used(database: sqlite3.Connection, text: str, index: str) -> None:
    condition, parameters = to_sql(parse(text), schema.words_table(1))
    query = f"EXPLAIN QUERY PLAN SELECT slot FROM {schema.rows_table(1)} WHERE {condition}"
    plan = [detail for *_, detail in database.execute(query, parameters)]
    assert any(index in detail for detail in plan), plan


def test_sizes_dates_and_places_are_read_from_the_index_alone(database: sqlite3.Connection) -> None:
    text = "width >= 96 and size > 1 and lat >= 3.5 and not (lon > 4) and format == 'PNG'"
    condition, parameters = to_sql(parse(text), schema.words_table(1))
    query = f"EXPLAIN QUERY PLAN SELECT slot FROM {schema.rows_table(1)} WHERE {condition}"
    plan = [detail for *_, detail in database.execute(query, parameters)]
    assert any("USING COVERING INDEX" in detail for detail in plan), plan
