"""Names of collections: which there can be, and what is wrong with one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from clipstack.errors import ClipstackError, NotFoundError, UsageError

# Milvus' rule for names of collections.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")


def check_name(name: str) -> str:
    """`name`, if it can be a collection's: Milvus' rule holds everywhere, so that any collection
    can be copied there.

    Raises:
        UsageError: it can't.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name for a collection",
            hint="Use letters, digits and _, not starting with a digit, at most 255 in all.",
        )
    return name


def require_own_name(name: str, given: str) -> None:
    """Raises UsageError when `given` is an alias of the collection `name`."""
    if name != given:
        raise UsageError(
            f"{given!r} is an alias of the collection {name!r}",
            hint=f"Name the collection itself, or take the alias away: "
            f"`clipstack collections alias {name} {given} --delete`.",
        )


def not_ours(name: str) -> ClipstackError:
    """The error for a collection that another program made."""
    return ClipstackError(
        f"collection {name!r} was not made by clipstack", hint="Name another with --collection."
    )


def missing(name: str, names: Sequence[str]) -> NotFoundError:
    """The error for a collection that is not there.

    Args:
        names: of those that are.
    """
    hint = "Make one with `clipstack import FOLDER`."
    if names:
        make = f"clipstack import FOLDER --collection {name}"
        hint = f"There is: {', '.join(names)}. Or make it with `{make}`."
    return NotFoundError(f"there is no collection {name!r}", hint=hint)


def taken(name: str) -> ClipstackError:
    """The error for the name of a collection that is there already."""
    return ClipstackError(
        f"there is a collection {name!r} already",
        hint=f"Choose another name, or `clipstack collections drop {name}` first.",
    )


def no_such_alias(name: str, alias: str, aliases: Sequence[str]) -> NotFoundError:
    """The error for an alias that a collection does not have.

    Args:
        aliases: those it has.
    """
    return NotFoundError(
        f"collection {name!r} has no alias {alias!r}",
        hint=f"It has: {', '.join(aliases)}." if aliases else "It has none.",
    )
