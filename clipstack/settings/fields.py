"""One value of a setting in, the same value checked and typed out; the names of all settings."""

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


def _text_or_nothing(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")
    return value.strip()


def _urls(value: object) -> str:
    """One URL or many as one text, with spaces between them."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " ".join(_text(one) for one in value)
    return " ".join(_text_or_nothing(value).replace(",", " ").split())


def _positive(value: object) -> int:
    number = _whole(value)
    if number < 1:
        raise ValueError("must be a whole number of at least 1")
    return number


def _whole(value: object) -> int:
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
    def check(value: object) -> str:
        name = str(value).upper()
        if name not in names:
            raise ValueError(f"must be one of {', '.join(names)}")
        return name

    return check


def _preview(value: object) -> str:
    name = str(value).lower()
    if name not in PREVIEWS:
        raise ValueError(f"must be one of {', '.join(PREVIEWS)}")
    return name


def _parameters(value: object) -> str:
    """Parameters of an index, as JSON: from a TOML table, from JSON, or from "M=16 ef=64"."""
    try:
        if isinstance(value, Mapping):
            found = dict(value)
        elif isinstance(value, str) and value.lstrip().startswith("{"):
            found = json.loads(value)
        elif isinstance(value, str):
            pairs = [pair.split("=") for pair in value.replace(",", " ").split()]
            found = {name: json.loads(number) for name, number in pairs}
        else:
            raise ValueError
    except ValueError:
        raise ValueError("must be like M=16,efConstruction=200") from None
    return json.dumps(found) if found else ""


def _project(value: object) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", str(value)):
        raise ValueError("must be lower-case letters, digits, - and _, at most 63 in all")
    return str(value)


def _path(value: object) -> Path:
    return Path(_text(value)).expanduser()


def _setting(default: Any, parse: Callable[[object], Any], help: str) -> Any:
    metadata = {"parse": parse, "help": help}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """Every value a command may need, already checked.

    Attributes:
        origins: each name's "default", or the file, variable or flag its value came from.
        targets: the names of the tables [targets.NAME] in the settings files.
        stack: variables of the stack from the tables [stack], as `CLIPSTACK_<NAME>`.

    The target's own values (address, tokens, encoders) are already in their places: an empty
    `milvus_uri` means the embedded database.
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
        "", _text_or_nothing, "a Milvus server, such as http://127.0.0.1:19530; empty: embedded"
    )
    milvus_token: str = _setting(
        "", _text_or_nothing, "what that Milvus asks for: user:password, or an API key"
    )
    milvus_database: str = _setting("", _text_or_nothing, "the database there; empty: its default")
    tls_ca: str = _setting("", _text_or_nothing, "file with the authority that signed its TLS")
    tls_cert: str = _setting("", _text_or_nothing, "file with this client's TLS certificate")
    tls_key: str = _setting("", _text_or_nothing, "file with the key of that certificate")
    tls_server_name: str = _setting("", _text_or_nothing, "the name in the server's certificate")
    metric: str = _setting(
        "COSINE", _one_of(METRICS), "COSINE, L2 or IP, for collections made from now on"
    )
    index: str = _setting(
        "AUTOINDEX", _one_of(INDEXES), f"{', '.join(INDEXES)}, for collections made from now on"
    )
    index_params: str = _setting("", _parameters, "its parameters, such as M=16,efConstruction=200")
    search_params: str = _setting("", _parameters, "parameters of every search, such as ef=128")
    device: str = _setting("auto", _text, "auto, cpu, cuda or mps")
    engine: str = _setting("auto", _text, "auto, openvino or torch")
    precision: str = _setting("auto", _text, "auto, fp32, bf16, fp16 or int8")
    encoder_url: str = _setting(
        "", _urls, "services that encode, such as http://127.0.0.1:3000; empty: none"
    )
    encoder_token: str = _setting("", _text_or_nothing, "the token those services ask for")
    project: str = _setting("clipstack", _project, "the name of the stack that `up` starts")
    batch_size: int = _setting(32, _positive, "pictures encoded at once")
    limit: int = _setting(10, _positive, "hits a search returns")
    preview: str = _setting(
        "auto", _preview, "pictures on the terminal: auto, kitty, iterm, sixel, blocks or off"
    )
    wait: float = _setting(
        10.0, _seconds, "seconds to wait for another process that writes, or for a server"
    )
    patience: float = _setting(
        120.0, _seconds, "seconds an import waits for a service that went away"
    )
    max_bytes: int = _setting(400 * 2**20, _positive, "largest file read, in bytes")
    max_pixels: int = _setting(128_000_000, _positive, "largest picture decoded, in pixels")
    origins: Mapping[str, str] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    stack: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={shown(self, name)!r}' for name in NAMES)})"

    def is_default(self, name: str) -> bool:
        """Whether nobody set `name`."""
        return self.origins.get(name, "default") == "default"


_FIELDS = {f.name: f for f in fields(Settings) if f.metadata}
NAMES = tuple(_FIELDS)


SECRET = frozenset({"encoder_token", "milvus_token"})
"""Settings whose values are never shown."""


def shown(settings: Settings, name: str) -> str | int | float:
    """A setting's value as it may be printed."""
    value: str | int | float | Path = getattr(settings, name)
    if name in SECRET and value:
        return "(set)"
    return str(value) if isinstance(value, Path) else value


def help_of(name: str) -> str:
    """One line that says what setting `name` means."""
    return str(_FIELDS[name].metadata["help"])


def parse(name: str, value: object, origin: str) -> Any:
    """`value` as setting `name` keeps it.

    Raises:
        UsageError: there is no such setting, or the value is not one; names the origin.
    """
    if name not in _FIELDS:
        close = difflib.get_close_matches(name, NAMES, n=1)
        hint = f"Did you mean {close[0]}?" if close else f"Settings are: {', '.join(NAMES)}."
        raise UsageError(f"{origin}: there is no setting {name!r}", hint=hint)
    try:
        return _FIELDS[name].metadata["parse"](value)
    except ValueError as error:
        got = "" if name in SECRET else f", got {value!r}"
        raise UsageError(f"{origin}: {name} {error}{got}") from None


def template() -> str:
    """A settings file with every setting at its default, commented out."""
    lines = [
        "# Settings of clipstack. Remove the # of a line to change it.",
        "# CLIPSTACK_* variables and flags of a command go before what stands here.",
        "",
    ]
    defaults = Settings()
    for name in NAMES:
        value = getattr(defaults, name)
        shown = f'"{value}"' if isinstance(value, str | Path) else f"{value:_}".replace("_", "")
        lines += [f"# {help_of(name)}", f"# {name} = {shown}", ""]
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
