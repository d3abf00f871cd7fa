"""Settings in, the targets they name out; a target's name in, that target the current one out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipstack.errors import ClipstackError, UsageError
from clipstack.settings import Settings, load, targets
from clipstack.settings import shown as shown_setting

_FACTS = {
    targets.EMBEDDED: ("database", "index", "index_params", "encoder_url"),
    "": (
        *("milvus_uri", "milvus_token", "milvus_database"),
        *("tls_ca", "tls_cert", "tls_key", "tls_server_name"),
        *("index", "index_params", "search_params", "encoder_url", "encoder_token"),
    ),
}


@dataclass(frozen=True, slots=True)
class Target:
    """One target.

    Attributes:
        name: what `--target` takes.
        where: the database's file, or the Milvus server's address.
        encoder: the services that encode, or "" for this process.
        current: whether commands use it when none is named.
        facts: its settings by name, secrets as "(set)".
        problem: why it can't be used, or "".
    """

    name: str
    where: str
    encoder: str
    current: bool = False
    facts: dict[str, Any] | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A target made the current one, and who says otherwise, or ""."""

    target: Target
    overruled_by: str


def describe(loaded: Settings, *, current: str = "") -> Target:
    """The target of these settings."""
    names = _FACTS.get(loaded.target, _FACTS[""])
    facts = {name: shown_setting(loaded, name) for name in names}
    return Target(
        name=loaded.target,
        where=loaded.milvus_uri or str(loaded.database),
        encoder=loaded.encoder_url,
        current=loaded.target == (current or loaded.target),
        facts={name: value for name, value in facts.items() if value},
    )


def list_all(loaded: Settings, *, config: Path | None = None) -> list[Target]:
    """Every target there is, the current one marked. One whose settings are wrong says so."""
    names = [targets.EMBEDDED, targets.STACK, *loaded.targets]
    if loaded.target not in names:
        names.append(loaded.target)
    found = []
    for name in names:
        try:
            one = loaded if name == loaded.target else load({"target": name}, config=config)
            found.append(describe(one, current=loaded.target))
        except ClipstackError as error:
            found.append(Target(name, "", "", problem=error.message))
    return found


def use(name: str, *, config: Path | None = None) -> Chosen:
    """Make `name` the current target of this user.

    Raises:
        NotFoundError: there is none of that name.
        UsageError: its settings are wrong, or it has no name of its own.
    """
    if name == targets.REMOTE:
        raise UsageError(
            "the target 'remote' is wherever `milvus_uri` says, and needs no choosing",
            hint="Set CLIPSTACK_MILVUS_URI, or give it a name: [targets.NAME] in clipstack.toml.",
        )
    chosen = load({"target": name}, config=config)
    targets.use(name)
    now = load(config=config)
    origin = "" if now.target == name else now.origins.get("target", "")
    return Chosen(describe(chosen), origin)
