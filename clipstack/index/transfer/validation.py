"""Validation of rows from exchange files.

It rejects what Milvus would refuse or what would make a search fail, so that an imported row can be
copied to any target.
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
from clipstack.index.derived_fields import DERIVED_FIELDS, check_tag, with_derived_fields
from clipstack.index.schema import FILE_FIELDS, MAX_PATH_BYTES, CollectionInfo, Row, row_id
from clipstack.index.transfer.exchange_format import INTEGERS, Batch, RowProblem

if TYPE_CHECKING:
    from clipstack.index.schema import Matrix

NO_PATH, BAD_PATH = "no path", "unusable path"
NO_VECTOR, WRONG_DIMENSION = "no vector", "wrong dimension"
NOT_FINITE, ZERO = "not finite", "all zeros"
BAD_VALUE, BAD_FACTS = "unusable value", "unusable facts"

# Milvus' limit on all dynamic fields of a row, as JSON.
# Source: `JSONMaxLength` in pkg/util/paramtable/component_param.go of milvus-io/milvus.
_MAX_FACTS_BYTES = 65_536
_MAX_TEXT_BYTES = {"digest": 64, "format": 32}
_INT64_RANGE = -(2**63), 2**63 - 1
_FIXED_NAMES = frozenset({"id", *FILE_FIELDS, "imported_at", "vector", "$meta"})
_TEXT_FACTS = ("camera", "lens", "title", "description")
_NUMBER_FACTS = ("lat", "lon", "orientation")
_LIST_FACTS = ("keywords", "tags")
# A URL, or a path with a drive letter.
_NOT_LOCAL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|[A-Za-z]:[\\/]")


class RowValidator:
    """Converts batches to rows.

    Args:
        info: of the rows' new collection.
        now: `imported_at` of rows without one, in seconds since the epoch.
    """

    def __init__(self, info: CollectionInfo, now: int) -> None:
        self._metric = info.metric
        self._now = now

    def rows(self, batch: Batch) -> tuple[list[Row], dict[int, RowProblem]]:
        """The valid rows of a batch, and the problems of the others by their number in it.

        If a path occurs more than once, its last row counts.
        """
        count = len(batch.vectors)
        problems = dict(batch.problems)
        _check_vectors(batch.vectors, self._metric, problems)
        texts = {name: _text_column(batch, name, count, problems) for name in ("digest", "format")}
        numbers = {name: _integer_column(batch, name, count, problems) for name in INTEGERS[:-1]}
        imported = _integer_column(batch, "imported_at", count, problems, default=self._now)
        paths, ids = _path_columns(batch, count, problems)
        facts = _facts_column(batch, count, problems)
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


def to_integers(
    name: str, values: Sequence[float | None], problems: dict[int, RowProblem]
) -> list[int | None]:
    """The floats of a column as integers; None for missing ones, and for those with a problem."""
    integers: list[int | None] = []
    for number, value in enumerate(values):
        if value is None or value != value:  # pandas has NaN where a whole number is missing
            integers.append(None)
        elif value.is_integer():
            integers.append(int(value))
        else:
            problems.setdefault(number, RowProblem(BAD_VALUE, f"{name} {value}"))
            integers.append(None)
    return integers


def to_texts(
    name: str, values: Sequence[str | bytes | None], problems: dict[int, RowProblem]
) -> list[str | None]:
    """The texts of a column; None for missing ones, and for those that are not UTF-8."""
    texts: list[str | None] = []
    for number, value in enumerate(values):
        try:
            data = value.encode() if isinstance(value, str) else value
            texts.append(None if data is None else data.decode())
        except UnicodeError:
            reason = BAD_PATH if name == "path" else BAD_VALUE
            problems.setdefault(number, RowProblem(reason, f"{name} is not valid UTF-8"))
            texts.append(None)
    return texts


def _check_vectors(vectors: Matrix, metric: str, problems: dict[int, RowProblem]) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.einsum("ij,ij->i", vectors, vectors)
    # Squares of very small or large numbers may be 0 or infinite although the numbers are not.
    for number in np.flatnonzero(~(np.isfinite(squares) & (squares > 0))).tolist():
        if number in problems:
            continue
        if not np.isfinite(vectors[number]).all():
            problems[number] = RowProblem(NOT_FINITE, "a NaN or an infinite number in its vector")
        elif metric == "COSINE" and not vectors[number].any():
            problems[number] = RowProblem(ZERO, "a vector of zeros has no direction to compare")


def _text_column(
    batch: Batch, name: str, count: int, problems: dict[int, RowProblem]
) -> Sequence[str]:
    values = _fill_missing(batch.values.get(name), count, "")
    max_bytes = _MAX_TEXT_BYTES[name]
    if max(map(len, values), default=0) * 4 > max_bytes:  # UTF-8 takes up to four bytes a character
        for number, text in enumerate(values):
            if len(text.encode()) > max_bytes:
                problems.setdefault(number, RowProblem(BAD_VALUE, f"{name} over {max_bytes} bytes"))
    return values


def _integer_column(
    batch: Batch, name: str, count: int, problems: dict[int, RowProblem], default: int = 0
) -> Sequence[int]:
    values = _fill_missing(batch.values.get(name), count, default)
    minimum, maximum = _INT64_RANGE
    if values and (min(values) < minimum or max(values) > maximum):
        for number, value in enumerate(values):
            if not minimum <= value <= maximum:
                problems.setdefault(number, RowProblem(BAD_VALUE, f"{name} {value}"))
    return values


def _fill_missing(values: Sequence[Any] | None, count: int, default: Any) -> Sequence[Any]:
    if values is None:
        return [default] * count
    return [default if value is None else value for value in values] if None in values else values


def _path_columns(
    batch: Batch, count: int, problems: dict[int, RowProblem]
) -> tuple[list[str], list[str]]:
    """The path and id of each row; "" for rows with a problem."""
    paths, ids = [""] * count, [""] * count
    given_ids = batch.values.get("id") or repeat(None, count)
    for number, (path, id) in enumerate(zip(batch.values["path"], given_ids, strict=True)):
        if number in problems:
            continue
        try:
            if id is None or not path or row_id(path) != id:
                path = _absolute_path(path)
                id = row_id(path)
            if len(path) * 4 > MAX_PATH_BYTES:
                _check_length(path)
        except _RejectedError as error:
            problems[number] = error.problem
        else:
            paths[number], ids[number] = path, id
    return paths, ids


class _RejectedError(Exception):
    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.problem = RowProblem(reason, detail)


def _absolute_path(path: str | None) -> str:
    """`path` as an import of that picture would store it: absolute and normalized.

    Raises:
        _RejectedError: it is not a path of a file on this machine.
    """
    if not path:
        raise _RejectedError(NO_PATH)
    if "\0" in path:
        raise _RejectedError(BAD_PATH, "a NUL in it")
    if not os.path.isabs(path) and _NOT_LOCAL.match(path):  # noqa: PTH117
        raise _RejectedError(BAD_PATH, "not a file of this machine")
    return os.path.abspath(path)  # noqa: PTH100


def _check_length(path: str) -> None:
    if len(path.encode()) > MAX_PATH_BYTES:
        raise _RejectedError(BAD_PATH, f"over {MAX_PATH_BYTES} bytes")


def _facts_column(
    batch: Batch, count: int, problems: dict[int, RowProblem]
) -> list[dict[str, Any]]:
    texts, tags = batch.values.get("facts"), batch.values.get("tags")
    facts: list[dict[str, Any]] = [{} for _ in range(count)]
    for number, text in enumerate(texts or ()):
        if text and number not in problems:
            try:
                facts[number] = _parse_facts(text, ignore_tags=tags is not None)
            except _RejectedError as error:
                problems[number] = error.problem
    for number, row_tags in enumerate(tags or ()):
        if row_tags is not None and number not in problems:
            try:
                facts[number]["tags"] = _check_list("tags", row_tags)
            except _RejectedError as error:
                problems[number] = error.problem
    return facts


def _parse_facts(text: str, *, ignore_tags: bool = False) -> dict[str, Any]:
    """Dynamic fields from the column `facts`, without derived fields.

    Args:
        ignore_tags: drop tags, as another column has them.

    Raises:
        _RejectedError: they are invalid.
    """
    try:
        facts = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(facts, ensure_ascii=False).encode()
    except RecursionError:
        raise _RejectedError(BAD_FACTS, "nested too deeply") from None
    except UnicodeEncodeError:
        raise _RejectedError(BAD_FACTS, "half a character, such as \\ud800") from None
    except ValueError as error:
        raise _RejectedError(BAD_FACTS, f"no JSON: {error}") from None
    if not isinstance(facts, dict):
        raise _RejectedError(BAD_FACTS, "no JSON object")
    for name in (*DERIVED_FIELDS, *(("tags",) if ignore_tags else ())):
        facts.pop(name, None)
    if conflicts := _FIXED_NAMES & facts.keys():
        raise _RejectedError(BAD_FACTS, f"{', '.join(sorted(conflicts))}: a column has that name")
    _check_types(facts)
    if len(text) * 4 > _MAX_FACTS_BYTES // 2:
        size = len(json.dumps(with_derived_fields(facts), ensure_ascii=False).encode())
        if size > _MAX_FACTS_BYTES:
            raise _RejectedError(BAD_FACTS, f"over {_MAX_FACTS_BYTES} bytes")
    return facts


def _check_types(facts: Mapping[str, Any]) -> None:
    """Raise _RejectedError if a field that searches and views use has another type."""
    for name in _TEXT_FACTS:
        if name in facts and not isinstance(facts[name], str):
            raise _RejectedError(BAD_FACTS, f"{name} must be a text")
    for name in _NUMBER_FACTS:
        if name in facts and (isinstance(facts[name], bool | str | list | dict | None)):
            raise _RejectedError(BAD_FACTS, f"{name} must be a number")
    for name in _LIST_FACTS:
        if name in facts:
            _check_list(name, facts[name])


def _check_list(name: str, values: Any) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise _RejectedError(BAD_FACTS, f"{name} must be a list of texts")
    if name == "tags":
        for tag in values:
            if problem := _tag_error(tag):
                raise _RejectedError(BAD_FACTS, problem)
    return values


@lru_cache(4096)
def _tag_error(tag: str) -> str:
    try:
        check_tag(tag, "tags")
    except UsageError as error:
        return error.message
    return ""


def _parse_float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is too large")
    return number


def _parse_int(text: str) -> int:
    number = int(text)
    if not _INT64_RANGE[0] <= number <= _INT64_RANGE[1]:
        raise ValueError(f"{text[:30]} is too large")
    return number


def _parse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


_DECODER = json.JSONDecoder(
    parse_float=_parse_float, parse_int=_parse_int, parse_constant=_parse_constant
)
