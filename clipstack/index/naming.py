"""Names of collections: their syntax, and the errors for names that are wrong, missing or taken."""

from __future__ import annotations

import re
from collections.abc import Sequence

from clipstack.errors import ClipstackError, NotFoundError, UsageError

# Milvus' syntax for names of collections.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")


def check_name(name: str) -> str:
    """Return `name` if it is valid by Milvus' rule, which holds on every target, so that any
    collection can be copied to a Milvus server.

    Raises:
        UsageError: it is not valid.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is not a valid name for a collection",
            hint="Use letters, digits and _, not starting with a digit, at most 255 in all.",
        )
    return name


def refuse_alias(name: str, given: str) -> None:
    """Raise UsageError if `given` is an alias of the collection `name`."""
    if name != given:
        raise UsageError(
            f"{given!r} is an alias of the collection {name!r}",
            hint=f"Name the collection itself, or take the alias away: "
            f"`clipstack collections alias {name} {given} --delete`.",
        )


def not_clipstack_error(name: str) -> ClipstackError:
    """The error for a collection that another program created."""
    return ClipstackError(
        f"collection {name!r} was not made by clipstack", hint="Name another with --collection."
    )


def not_found_error(name: str, names: Sequence[str]) -> NotFoundError:
    """The error for a collection that does not exist.

    Args:
        names: of the collections that exist.
    """
    hint = "Make one with `clipstack import FOLDER`."
    if names:
        make = f"clipstack import FOLDER --collection {name}"
        hint = f"There is: {', '.join(names)}. Or make it with `{make}`."
    return NotFoundError(f"there is no collection {name!r}", hint=hint)


def dropped_error() -> NotFoundError:
    """The error for a collection that was dropped while it was used."""
    return NotFoundError(
        "the collection is not there any more: it was dropped",
        hint="`clipstack import FOLDER` makes it again.",
    )


def name_taken_error(name: str) -> ClipstackError:
    """The error for a name that a collection already has."""
    return ClipstackError(
        f"there is a collection {name!r} already",
        hint=f"Choose another name, or `clipstack collections drop {name}` first.",
    )


def alias_taken_error(alias: str) -> ClipstackError:
    """The error for an alias that is the name of a collection."""
    return ClipstackError(f"there is a collection {alias!r} already", hint="Choose another alias.")


def alias_not_found_error(name: str, alias: str, aliases: Sequence[str]) -> NotFoundError:
    """The error for an alias that a collection does not have.

    Args:
        aliases: those that it has.
    """
    return NotFoundError(
        f"collection {name!r} has no alias {alias!r}",
        hint=f"It has: {', '.join(aliases)}." if aliases else "It has none.",
    )
