"""The syntax tree of a filter.

`parse` creates it from text, `clipstack.search.filters` from options; `to_sql` and `to_milvus`
translate it. `parse` documents the meaning of each condition.
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
"""Fixed fields that hold a string."""
NUMBERS = ("size", "mtime_ns", "width", "height", "taken_at", "imported_at")
"""Fixed fields that hold an integer."""
EXACT = 2**53
"""Integers below this are exact as 64-bit floats."""
_PATTERN_PART = re.compile(r"\\(.)|(%+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a row.

    Attributes:
        name: of a fixed field, one of `clipstack.index.schema.DYNAMIC_FIELDS`, or "$meta" for the
            object with all dynamic fields.
        path: keys in brackets: strings without quotes and backslashes for objects, and numbers for
            lists, or for objects with such a key.
    """

    name: str
    path: tuple[str | int, ...] = ()

    @property
    def is_fixed(self) -> bool:
        """Whether every row has it, with values of one kind."""
        return self.name in TEXTS or self.name in NUMBERS

    @property
    def is_derived(self) -> bool:
        """Whether it is one of `DERIVED_FIELDS`, a list of words."""
        return self.name in DERIVED_FIELDS


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """An integer field and one operation on it, as in `width % 2`.

    Attributes:
        number: at least 0; not 0 after / and %.
    """

    field: Field
    operator: Literal["+", "-", "*", "/", "%"]
    number: int


@dataclass(frozen=True, slots=True)
class Compare:
    """A field, or arithmetic on one (with == and != only), compared with a value.

    Attributes:
        kind: type of the value; tells apart 1, 1.0 and True, which are equal.
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
    """A field has one of several values, all of one kind."""

    field: Field
    values: tuple[Scalar, ...]
    kinds: frozenset[type] = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", frozenset(map(type, self.values)))


@dataclass(frozen=True, slots=True)
class Like:
    r"""A text field matches a pattern.

    Attributes:
        pattern: `%` matches any text; `\%`, `\_` and `\\` stand for these characters themselves.
    """

    field: Field
    pattern: str

    @property
    def is_prefix(self) -> bool:
        """Whether its only wildcard is at the end."""
        return len(self.parts) == 2 and not self.parts[1]

    @property
    def parts(self) -> tuple[str, ...]:
        """The texts around the wildcards; a single one if there is no wildcard."""
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
    """A list in a dynamic field contains all, or any, of several values of one kind."""

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
    """All of these conditions as one; None if there are none."""
    present = tuple(condition for condition in conditions if condition is not None)
    if not present:
        return None
    return present[0] if len(present) == 1 else And(present)


def below_folder(folder: str) -> Expression:
    """Match paths below `folder` (absolute) by a range, so that no name needs escaping."""
    prefix = folder.rstrip("/")
    path = Field("path")
    # "0" follows "/"
    return And((Compare(path, ">=", f"{prefix}/"), Compare(path, "<", f"{prefix}0")))


def starting_with(field: Field, prefix: str) -> Expression:
    """Match texts that begin with `prefix` by a range, which an index supports."""
    start = Compare(field, ">=", prefix)
    stem = prefix.rstrip("\U0010ffff")
    if not stem:
        return start
    next_code = ord(stem[-1]) + 1
    end = stem[:-1] + chr(0xE000 if next_code == 0xD800 else next_code)  # no surrogates
    return And((start, Compare(field, "<", end)))
