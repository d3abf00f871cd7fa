"""The syntax tree of a filter: what is true of the rows that a search may find.

Made by `parse` from text, or by `clipstack.search.filters` from options; translated by `to_sql`
and `to_milvus`. `parse` says what each condition means.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from clipstack.index.derived_fields import DERIVED_FIELDS

Scalar: TypeAlias = str | int | float | bool
CompareOperator: TypeAlias = Literal["==", "!=", "<", "<=", ">", ">="]

TEXTS = ("id", "path", "digest", "format")
"""Fields of every row that hold a text."""
NUMBERS = ("size", "mtime_ns", "width", "height", "taken_at", "imported_at")
"""Fields of every row that hold a whole number."""
EXACT = 2**53
"""Whole numbers below this are the same as 64-bit floats."""
_PATTERN_PART = re.compile(r"\\(.)|(%+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a row.

    Attributes:
        name: of a fixed field, one of `clipstack.index.schema.DYNAMIC`, or "$meta" for all dynamic
            ones.
        path: what follows in brackets: keys of objects, without quotes and backslashes, and
            numbers: places in lists, or keys of objects that are such numbers.
    """

    name: str
    path: tuple[str | int, ...] = ()

    @property
    def is_fixed(self) -> bool:
        """Whether every row has it, with a value of one kind."""
        return self.name in TEXTS or self.name in NUMBERS

    @property
    def is_derived(self) -> bool:
        """Whether it is a list of words that `clipstack.index.derived_fields` makes."""
        return self.name in DERIVED_FIELDS


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """A whole-number field and one operation on it, as in `width % 2`.

    Attributes:
        number: at least 0; not 0 after / and %.
    """

    field: Field
    operator: Literal["+", "-", "*", "/", "%"]
    number: int


@dataclass(frozen=True, slots=True)
class Compare:
    """A field, or a field and some arithmetic (before == and != only), compared with a value.

    Attributes:
        kind: of the value, as 1, 1.0 and True are equal.
    """

    left: Field | Arithmetic
    operator: CompareOperator
    value: Scalar
    kind: type = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", type(self.value))


@dataclass(frozen=True, slots=True)
class CompareFields:
    """Two fixed fields of one kind, compared."""

    left: Field
    operator: CompareOperator
    right: Field


@dataclass(frozen=True, slots=True)
class In:
    """A field is one of some values, all of one kind."""

    field: Field
    values: tuple[Scalar, ...]
    kinds: frozenset[type] = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", frozenset(map(type, self.values)))


@dataclass(frozen=True, slots=True)
class Like:
    r"""A text field matches a pattern.

    Attributes:
        pattern: `%` is any text; `\%`, `\_` and `\\` are these characters themselves.
    """

    field: Field
    pattern: str

    @property
    def is_prefix(self) -> bool:
        """Whether its one wildcard is at the end."""
        return len(self.parts) == 2 and not self.parts[1]

    @property
    def parts(self) -> tuple[str, ...]:
        """The texts between the wildcards: two or more, unless there is no wildcard."""
        parts, start = [""], 0
        for match in _PATTERN_PART.finditer(self.pattern):
            parts[-1] += self.pattern[start : match.start()] + (match[1] or "")
            if match[2]:
                parts.append("")
            start = match.end()
        parts[-1] += self.pattern[start:]
        return tuple(parts)


@dataclass(frozen=True, slots=True)
class Exists:
    """A row has this dynamic field."""

    field: Field


@dataclass(frozen=True, slots=True)
class Contains:
    """A list in a dynamic field holds all, or any, of some values, all of one kind."""

    field: Field
    values: tuple[Scalar, ...]
    quantifier: Literal["all", "any"] = "all"
    kinds: frozenset[type] = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", frozenset(map(type, self.values)))


@dataclass(frozen=True, slots=True)
class Not:
    """The condition is not true."""

    condition: Expression


@dataclass(frozen=True, slots=True)
class And:
    """All conditions are true."""

    conditions: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one condition is true."""

    conditions: tuple[Expression, ...]


Expression: TypeAlias = "Compare | CompareFields | In | Like | Exists | Contains | Not | And | Or"


def conjunction(*conditions: Expression | None) -> Expression | None:
    """All of these conditions as one; None where there is none."""
    present = tuple(condition for condition in conditions if condition is not None)
    if not present:
        return None
    return present[0] if len(present) == 1 else And(present)


def below_folder(folder: str) -> Expression:
    """The paths below `folder` (absolute): a range of names, which no folder's name can break."""
    prefix = folder.rstrip("/")
    path = Field("path")
    # "0" follows "/"
    return And((Compare(path, ">=", f"{prefix}/"), Compare(path, "<", f"{prefix}0")))


def starting_with(field: Field, prefix: str) -> Expression:
    """The texts that begin with `prefix`: a range of texts, as an index has them."""
    start = Compare(field, ">=", prefix)
    stem = prefix.rstrip("\U0010ffff")
    if not stem:
        return start
    next_code = ord(stem[-1]) + 1
    end = stem[:-1] + chr(0xE000 if next_code == 0xD800 else next_code)  # no surrogates
    return And((start, Compare(field, "<", end)))
