"""The rows of exchange files, checked: what a collection can keep, and why it can't keep the rest.

What is refused here would be refused by Milvus, or make a search fail, so that a row that comes in
can be copied anywhere.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import repeat
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from clipstack.errors import UsageError
from clipstack.index.keywords import FOR_FILTERS, check_tag, with_words
from clipstack.index.schema import FACTS, MAX_PATH_BYTES, CollectionInfo, Row, row_id
from clipstack.index.transfer.exchange_format import WHOLE_NUMBERS, Batch, Problem

if TYPE_CHECKING:
    from clipstack.index.schema import Matrix

NO_PATH, BAD_PATH = "no path", "unusable path"
NO_VECTOR, WRONG_DIMENSION = "no vector", "wrong dimension"
NOT_FINITE, ZERO = "not finite", "all zeros"
BAD_VALUE, BAD_FACTS = "unusable value", "unusable facts"

# Milvus' bound on all dynamic fields of a row, as JSON.
# Source: `JSONMaxLength` in pkg/util/paramtable/component_param.go of milvus-io/milvus.
_MAX_FACTS_BYTES = 65_536
_MAX_TEXT_BYTES = {"digest": 64, "format": 32}
_INT64 = -(2**63), 2**63 - 1
_FIXED = frozenset({"id", *FACTS, "imported_at", "vector", "$meta"})
_TEXT_FACTS = ("camera", "lens", "title", "description")
_NUMBER_FACTS = ("lat", "lon", "orientation")
_LIST_FACTS = ("keywords", "tags")
# A URL, or a path with a drive.
_ELSEWHERE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|[A-Za-z]:[\\/]")


class Checker:
    """Makes rows of batches.

    Args:
        info: of the collection that the rows go to.
        now: seconds since the epoch: when rows that do not say are imported.
    """

    def __init__(self, info: CollectionInfo, now: int) -> None:
        self._metric = info.metric
        self._now = now

    def rows(self, batch: Batch) -> tuple[list[Row], dict[int, Problem]]:
        """The rows that can be kept, and of the others the problem by their number in the batch.

        A path that occurs twice in the batch brings its last row.
        """
        count = len(batch.vectors)
        problems = dict(batch.problems)
        _check_vectors(batch.vectors, self._metric, problems)
        texts = {name: _texts(batch, name, count, problems) for name in ("digest", "format")}
        numbers = {name: _numbers(batch, name, count, problems) for name in WHOLE_NUMBERS[:-1]}
        imported = _numbers(batch, "imported_at", count, problems, default=self._now)
        paths, ids = _paths(batch, count, problems)
        facts = _facts(batch, count, problems)
        values = zip(
            *(ids, paths, texts["digest"], numbers["size"], numbers["mtime_ns"]),
            *(numbers["width"], numbers["height"], texts["format"], numbers["taken_at"]),
            *(imported, batch.vectors, facts),
            strict=True,
        )
        if problems:
            rows = [Row(*row) for number, row in enumerate(values) if number not in problems]
        else:
            rows = [Row(*row) for row in values]
        by_id = {row.id: row for row in rows}
        return (rows if len(by_id) == len(rows) else list(by_id.values())), problems


def whole_numbers(
    name: str, values: Sequence[float | None], problems: dict[int, Problem]
) -> list[int | None]:
    """The floating-point numbers of a column as whole ones; None where there is none."""
    found: list[int | None] = []
    for number, value in enumerate(values):
        if value is None or value != value:  # pandas has NaN where a whole number is missing
            found.append(None)
        elif value.is_integer():
            found.append(int(value))
        else:
            problems.setdefault(number, Problem(BAD_VALUE, f"{name} {value}"))
            found.append(None)
    return found


def not_text(name: str) -> Problem:
    """The problem of bytes in the column `name` that are no text."""
    return Problem(BAD_PATH if name == "path" else BAD_VALUE, f"{name} is not valid UTF-8")


def _check_vectors(vectors: Matrix, metric: str, problems: dict[int, Problem]) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.einsum("ij,ij->i", vectors, vectors)
    # Squares of small and large numbers may be 0 or infinite where the numbers are not.
    for number in np.flatnonzero(~(np.isfinite(squares) & (squares > 0))).tolist():
        if number in problems:
            continue
        if not np.isfinite(vectors[number]).all():
            problems[number] = Problem(NOT_FINITE, "a NaN or an infinite number in its vector")
        elif metric == "COSINE" and not vectors[number].any():
            problems[number] = Problem(ZERO, "a vector of zeros has no direction to compare")


def _texts(batch: Batch, name: str, count: int, problems: dict[int, Problem]) -> Sequence[str]:
    values = _filled(batch.values.get(name), count, "")
    bound = _MAX_TEXT_BYTES[name]
    if max(map(len, values), default=0) * 4 > bound:  # UTF-8 takes up to four bytes a character
        for number, text in enumerate(values):
            if len(text.encode()) > bound:
                problems.setdefault(number, Problem(BAD_VALUE, f"{name} over {bound} bytes"))
    return values


def _numbers(
    batch: Batch, name: str, count: int, problems: dict[int, Problem], default: int = 0
) -> Sequence[int]:
    values = _filled(batch.values.get(name), count, default)
    least, most = _INT64
    if values and (min(values) < least or max(values) > most):
        for number, value in enumerate(values):
            if not least <= value <= most:
                problems.setdefault(number, Problem(BAD_VALUE, f"{name} {value}"))
    return values


def _filled(values: Sequence[Any] | None, count: int, default: Any) -> Sequence[Any]:
    if values is None:
        return [default] * count
    return [default if value is None else value for value in values] if None in values else values


def _paths(batch: Batch, count: int, problems: dict[int, Problem]) -> tuple[list[str], list[str]]:
    """The path of each row, and its id; "" where it has a problem."""
    paths, ids = [""] * count, [""] * count
    given = batch.values.get("id") or repeat(None, count)
    for number, (path, id) in enumerate(zip(batch.values["path"], given, strict=True)):
        if number in problems:
            continue
        try:
            if id is None or not path or row_id(path) != id:
                path = _absolute(path)
                id = row_id(path)
            if len(path) * 4 > MAX_PATH_BYTES:
                _check_length(path)
        except _UnusableError as error:
            problems[number] = error.problem
        else:
            paths[number], ids[number] = path, id
    return paths, ids


class _UnusableError(Exception):
    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.problem = Problem(reason, detail)


def _absolute(path: str | None) -> str:
    """`path` as an import of that picture would name it: relative ones begin in this folder.

    Raises:
        _UnusableError: it is no path of a file on this machine.
    """
    if not path:
        raise _UnusableError(NO_PATH)
    if "\0" in path:
        raise _UnusableError(BAD_PATH, "a NUL in it")
    if not os.path.isabs(path) and _ELSEWHERE.match(path):  # noqa: PTH117
        raise _UnusableError(BAD_PATH, "not a file of this machine")
    return os.path.abspath(path)  # noqa: PTH100


def _check_length(path: str) -> None:
    if len(path.encode()) > MAX_PATH_BYTES:
        raise _UnusableError(BAD_PATH, f"over {MAX_PATH_BYTES} bytes")


def _facts(batch: Batch, count: int, problems: dict[int, Problem]) -> list[dict[str, Any]]:
    texts, tags = batch.values.get("facts"), batch.values.get("tags")
    facts: list[dict[str, Any]] = [{} for _ in range(count)]
    for number, text in enumerate(texts or ()):
        if text and number not in problems:
            try:
                facts[number] = _parsed_facts(text, ignore_tags=tags is not None)
            except _UnusableError as error:
                problems[number] = error.problem
    for number, given in enumerate(tags or ()):
        if given is not None and number not in problems:
            try:
                facts[number]["tags"] = _checked_list("tags", given)
            except _UnusableError as error:
                problems[number] = error.problem
    return facts


def _parsed_facts(text: str, *, ignore_tags: bool = False) -> dict[str, Any]:
    """Dynamic fields from the column `facts`, without those that are made anew for filters.

    Args:
        ignore_tags: another column has them.

    Raises:
        _UnusableError: they can't be kept.
    """
    try:
        facts = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(facts, ensure_ascii=False).encode()
    except RecursionError:
        raise _UnusableError(BAD_FACTS, "nested too deeply") from None
    except UnicodeEncodeError:
        raise _UnusableError(BAD_FACTS, "half a character, such as \\ud800") from None
    except ValueError as error:
        raise _UnusableError(BAD_FACTS, f"no JSON: {error}") from None
    if not isinstance(facts, dict):
        raise _UnusableError(BAD_FACTS, "no JSON object")
    for name in (*FOR_FILTERS, *(("tags",) if ignore_tags else ())):
        facts.pop(name, None)
    if clash := _FIXED & facts.keys():
        raise _UnusableError(BAD_FACTS, f"{', '.join(sorted(clash))}: a column has that name")
    _check_kinds(facts)
    if len(text) * 4 > _MAX_FACTS_BYTES // 2:
        size = len(json.dumps(with_words(facts), ensure_ascii=False).encode())
        if size > _MAX_FACTS_BYTES:
            raise _UnusableError(BAD_FACTS, f"over {_MAX_FACTS_BYTES} bytes")
    return facts


def _check_kinds(facts: Mapping[str, Any]) -> None:
    """Raises _UnusableError when a field that searches and views know is of another kind."""
    for name in _TEXT_FACTS:
        if name in facts and not isinstance(facts[name], str):
            raise _UnusableError(BAD_FACTS, f"{name} must be a text")
    for name in _NUMBER_FACTS:
        if name in facts and (isinstance(facts[name], bool | str | list | dict | None)):
            raise _UnusableError(BAD_FACTS, f"{name} must be a number")
    for name in _LIST_FACTS:
        if name in facts:
            _checked_list(name, facts[name])


def _checked_list(name: str, values: Any) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise _UnusableError(BAD_FACTS, f"{name} must be a list of texts")
    if name == "tags":
        for tag in values:
            if problem := _problem_of_tag(tag):
                raise _UnusableError(BAD_FACTS, problem)
    return values


@lru_cache(4096)
def _problem_of_tag(tag: str) -> str:
    try:
        check_tag(tag, "tags")
    except UsageError as error:
        return error.message
    return ""


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is too large")
    return number


def _int64(text: str) -> int:
    number = int(text)
    if not _INT64[0] <= number <= _INT64[1]:
        raise ValueError(f"{text[:30]} is too large")
    return number


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


_DECODER = json.JSONDecoder(parse_float=_finite, parse_int=_int64, parse_constant=_refuse)
