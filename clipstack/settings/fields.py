"""The settings: their names, types, defaults and help texts, and the parsing of one value."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from clipstack.errors import UsageError
from clipstack.settings.directories import data_dir

DEFAULT_MODEL = "openai/clip-vit-base-patch32"
METRICS = ("COSINE", "L2", "IP")
INDEXES = ("AUTOINDEX", "HNSW", "IVF_FLAT", "DISKANN", "FLAT")
PREVIEWS = ("auto", "kitty", "iterm", "sixel", "blocks", "off")


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a text that is not empty")
    return value.strip()


def _optional_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")
    return value.strip()


def _urls(value: object) -> tuple[str, ...]:
    """URLs: from a list, or from a text with spaces or commas between them."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(" ".join(map(_text, value)).split())
    return tuple(_optional_text(value).replace(",", " ").split())


def _positive_integer(value: object) -> int:
    number = _integer(value)
    if number < 1:
        raise ValueError("must be a whole number of at least 1")
    return number


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("must be a whole number")
    try:
        return int(value)
    except ValueError:
        raise ValueError("must be a whole number") from None


def _seconds(value: object) -> float:
    try:
        number = float(value) if isinstance(value, int | float | str) else -1.0
    except ValueError:
        number = -1.0
    if isinstance(value, bool) or not 0 <= number < float("inf"):
        raise ValueError("must be a number of seconds, 0 or more")
    return number


def _one_of(names: Sequence[str]) -> Callable[[object], str]:
    def parse(value: object) -> str:
        for name in names:
            if name.lower() == str(value).lower():
                return name
        raise ValueError(f"must be one of {', '.join(names)}")

    return parse


def _parameters(value: object) -> dict[str, Any]:
    """Parameters of an index: from a TOML table, from JSON, or from "M=16 ef=64"."""
    try:
        if isinstance(value, Mapping):
            return dict(json.loads(json.dumps(value)))
        if isinstance(value, str) and value.lstrip().startswith("{"):
            return dict(json.loads(value))
        if isinstance(value, str):
            pairs = [pair.split("=") for pair in value.replace(",", " ").split()]
            return {name: json.loads(number) for name, number in pairs}
    except (ValueError, TypeError):  # TypeError: a TOML table with a date
        pass
    raise ValueError("must be like M=16,efConstruction=200")


def _project(value: object) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", str(value)):
        raise ValueError("must be lower-case letters, digits, - and _, at most 63 in all")
    return str(value)


def _path(value: object) -> Path:
    return Path(_text(value)).expanduser()


def _setting(default: Any, parse: Callable[[object], Any], help: str, *, name: str = "") -> Any:
    """A field of `Settings`; `name` is what the user calls it, where the field's name differs."""
    metadata = {"parse": parse, "help": help, "name": name}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """The settings of a run, already checked, with the target's own values in their places.

    Attributes:
        origins: the file, variable or flag that each setting's value came from; a setting that is
            missing has its default.
        targets: the names of the tables [targets.NAME] in the settings files.
        stack: variables of the stack from the tables [stack], as `CLIPSTACK_<NAME>`.
    """

    target: str = _setting("embedded", _text, "where the vectors live")
    model: str = _setting(DEFAULT_MODEL, _text, "hub id, folder, or `shapes`")
    collection: str = _setting("images", _text, "the collection to import into and search")
    database: Path = _setting(
        lambda: data_dir() / "clipstack.db",
        _path,
        "the SQLite file of the embedded target; its vectors lie beside it",
    )
    milvus_uri: str = _setting(
        "", _optional_text, "a Milvus server, such as http://127.0.0.1:19530; empty: embedded"
    )
    milvus_token: str = _setting(
        "", _optional_text, "what that Milvus asks for: user:password, or an API key"
    )
    milvus_database: str = _setting("", _optional_text, "the database there; empty: its default")
    tls_ca: str = _setting("", _optional_text, "file with the authority that signed its TLS")
    tls_cert: str = _setting("", _optional_text, "file with this client's TLS certificate")
    tls_key: str = _setting("", _optional_text, "file with the key of that certificate")
    tls_server_name: str = _setting("", _optional_text, "the name in the server's certificate")
    metric: str = _setting(
        "COSINE", _one_of(METRICS), "COSINE, L2 or IP, for collections made from now on"
    )
    index: str = _setting(
        "AUTOINDEX", _one_of(INDEXES), f"{', '.join(INDEXES)}, for collections made from now on"
    )
    index_params: Mapping[str, Any] = _setting(
        dict, _parameters, "its parameters, such as M=16,efConstruction=200"
    )
    search_params: Mapping[str, Any] = _setting(
        dict, _parameters, "parameters of every search, such as ef=128"
    )
    device: str = _setting("auto", _text, "auto, cpu, cuda or mps")
    engine: str = _setting("auto", _text, "auto, openvino or torch")
    precision: str = _setting("auto", _text, "auto, fp32, bf16, fp16 or int8")
    encoder_urls: tuple[str, ...] = _setting(
        (),
        _urls,
        "services that encode, such as http://127.0.0.1:3000; empty: none",
        name="encoder_url",
    )
    encoder_token: str = _setting("", _optional_text, "the token those services ask for")
    project: str = _setting("clipstack", _project, "the name of the stack that `up` starts")
    batch_size: int = _setting(32, _positive_integer, "pictures encoded at once")
    limit: int = _setting(10, _positive_integer, "hits a search returns")
    preview: str = _setting(
        "auto",
        _one_of(PREVIEWS),
        "pictures on the terminal: auto, kitty, iterm, sixel, blocks or off",
    )
    wait: float = _setting(
        10.0, _seconds, "seconds to wait for another process that writes, or for a server"
    )
    patience: float = _setting(
        120.0, _seconds, "seconds an import waits for a service that went away"
    )
    max_bytes: int = _setting(400 * 2**20, _positive_integer, "largest file read, in bytes")
    max_pixels: int = _setting(128_000_000, _positive_integer, "largest picture decoded, in pixels")
    origins: Mapping[str, str] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    stack: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={display_value(self, name)!r}' for name in NAMES)})"

    @property
    def is_embedded(self) -> bool:
        """Whether the vectors are in a database on this machine, not in Milvus."""
        return not self.milvus_uri

    @property
    def location(self) -> str:
        """Where the vectors are: the URI of a Milvus server, or the path of the database."""
        return self.milvus_uri or str(self.database)

    def is_default(self, name: str) -> bool:
        """Whether setting `name` has its default because no file, variable or flag sets it."""
        return self.origins.get(name, "default") == "default"


_FIELDS = {f.metadata["name"] or f.name: f for f in fields(Settings) if f.metadata}
NAMES = tuple(_FIELDS)


SECRET = frozenset({"encoder_token", "milvus_token"})
"""Settings whose values are never displayed."""


def display_value(settings: Settings, name: str) -> str | int | float:
    """A setting's value for display; secrets are replaced by "(set)"."""
    value: Any = getattr(settings, attribute(name))
    if name in SECRET and value:
        return "(set)"
    if isinstance(value, tuple):
        return " ".join(value)
    if isinstance(value, Mapping):
        return json.dumps(value) if value else ""
    return value if isinstance(value, int | float) else str(value)


def attribute(name: str) -> str:
    """The attribute of `Settings` that holds setting `name`."""
    return _FIELDS[name].name


def parse(name: str, value: object, origin: str) -> Any:
    """The checked and typed value of setting `name`.

    Args:
        origin: where `value` came from, for the error.

    Raises:
        UsageError: there is no such setting, or `value` is not valid for it.
    """
    if name not in _FIELDS:
        close = difflib.get_close_matches(name, NAMES, n=1)
        hint = f"Did you mean {close[0]}?" if close else f"Settings are: {', '.join(NAMES)}."
        raise UsageError(f"{origin}: there is no setting {name!r}", hint=hint)
    try:
        return _FIELDS[name].metadata["parse"](value)
    except ValueError as error:
        actual = "" if name in SECRET else f", got {value!r}"
        raise UsageError(f"{origin}: {name} {error}{actual}") from None


def template() -> str:
    """A settings file with every setting at its default, commented out."""
    lines = [
        "# Settings of clipstack. Remove the # of a line to change it.",
        "# CLIPSTACK_* variables and flags of a command go before what stands here.",
        "",
    ]
    defaults = Settings()
    for name in NAMES:
        value = display_value(defaults, name)
        literal = f'"{value}"' if isinstance(value, str) else f"{value:_}".replace("_", "")
        lines += [f"# {_FIELDS[name].metadata['help']}", f"# {name} = {literal}", ""]
    lines += [
        "# Variables of the stack, as in compose/compose.yaml, without CLIPSTACK_",
        "# [stack]",
        "# milvus_port = 19530",
        "",
        "# A target of your own, for `clipstack target use`; any setting can stand in its table",
        "# [targets.prod]",
        '# milvus_uri = "https://milvus.example.com:19530"',
        '# encoder_url = ["http://encoder-1:3000", "http://encoder-2:3000"]',
        "",
    ]
    return "\n".join(lines)
