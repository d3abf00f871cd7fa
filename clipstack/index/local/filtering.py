"""The slots of the rows that a filter is true of."""

from __future__ import annotations

import sqlite3
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from clipstack.index.filters.syntax import And, Contains, Expression, conjunction
from clipstack.index.filters.to_sql import to_sql
from clipstack.index.local import schema

if TYPE_CHECKING:
    from clipstack.index.local.vector_file import Slots

_FEW = 20_000
"""Slots from which on rows are not looked at one by one for the other conditions."""


def slots(connection: sqlite3.Connection, number: int, filter: Expression) -> Slots:
    """The slots, ascending, of the rows of the collection `number` that a filter is true of.

    Words of cameras and tags name slots by themselves, which saves a look at each of their rows.
    """
    conditions = filter.conditions if isinstance(filter, And) else (filter,)
    words = [condition for condition in conditions if _is_words(condition)]
    if not words:
        return _of_rows(connection, number, filter)
    by_words = reduce(_common, (_of_words(connection, number, word) for word in words))
    rest = conjunction(*(condition for condition in conditions if not _is_words(condition)))
    if rest is None:
        return by_words
    if len(by_words) <= _FEW:
        return _of_rows(connection, number, filter)
    return _common(by_words, _of_rows(connection, number, rest))


def free(connection: sqlite3.Connection, number: int) -> Slots:
    """The slots, ascending, that no row of the collection `number` has."""
    return _slots(connection, f"SELECT slot FROM {schema.free_of(number)}", [])


def _is_words(condition: Expression) -> bool:
    return (
        isinstance(condition, Contains)
        and condition.field.is_made
        and not condition.field.path
        and condition.quantifier == "all"
        and all(isinstance(value, str) for value in condition.values)
    )


def _of_words(connection: sqlite3.Connection, number: int, condition: Expression) -> Slots:
    assert isinstance(condition, Contains)
    query = f"SELECT slot FROM {schema.words_of(number)} WHERE kind = ? AND word = ?"
    name = condition.field.name
    return reduce(_common, (_slots(connection, query, [name, value]) for value in condition.values))


def _of_rows(connection: sqlite3.Connection, number: int, filter: Expression) -> Slots:
    condition, values = to_sql(filter, schema.words_of(number))
    return _slots(
        connection, f"SELECT slot FROM {schema.rows_of(number)} WHERE {condition}", values
    )


def _slots(connection: sqlite3.Connection, query: str, values: list[Any]) -> Slots:
    """As one text: ten times quicker than a row for each."""
    text = connection.execute(f"SELECT group_concat(slot) FROM ({query})", values).fetchone()[0]
    return np.sort(np.fromstring(text, np.int64, sep=",")) if text else np.empty(0, np.int64)


def _common(some: Slots, others: Slots) -> Slots:
    common: Slots = np.intersect1d(some, others, assume_unique=True)
    return common
