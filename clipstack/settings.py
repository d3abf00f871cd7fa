"""Files, environment and flags in; one set of typed values out, each with where it came from.

The layers, weakest first: built-in defaults, the user's file, the project's `clipstack.toml`
(the nearest one in this folder or above it), `CLIPSTACK_*` variables, flags of the command.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from clipstack.errors import NotFoundError, UsageError

PROJECT_FILE = "clipstack.toml"
DEFAULT_MODEL = "openai/clip-vit-base-patch32"
METRICS = ("COSINE", "L2", "IP")


def data_dir() -> Path:
    """The folder for what must not be lost: the embedded database."""
    return _user_dir("data")


def config_dir() -> Path:
    """The folder of the user's settings file."""
    return _user_dir("config")


def cache_dir() -> Path:
    """The folder for what can be made again."""
    return _user_dir("cache")


def _user_dir(kind: str) -> Path:
    override = os.environ.get(f"CLIPSTACK_{kind.upper()}_DIR")
    if override:
        return Path(override).expanduser().absolute()
    import platformdirs

    where: Path = getattr(platformdirs, f"user_{kind}_path")("clipstack", appauthor=False)
    return where


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a text that is not empty")
    return value.strip()


def _text_or_nothing(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")
    return value.strip()


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


def _metric(value: object) -> str:
    name = str(value).upper()
    if name not in METRICS:
        raise ValueError(f"must be one of {', '.join(METRICS)}")
    return name


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

    `origins` maps each name to "default", a file's path, the variable or the flag it came from.
    """

    target: str = _setting("embedded", _text, "where the vectors live")
    model: str = _setting(DEFAULT_MODEL, _text, "hub id, folder, or `shapes`")
    collection: str = _setting("images", _text, "the collection to import into and search")
    database: Path = _setting(
        lambda: data_dir() / "clipstack.db", _path, "the file of the embedded target"
    )
    metric: str = _setting("COSINE", _metric, "COSINE, L2 or IP, for collections made from now on")
    device: str = _setting("auto", _text, "auto, cpu, cuda or mps")
    encoder_url: str = _setting(
        "", _text_or_nothing, "a service that encodes, such as http://127.0.0.1:3000; empty: none"
    )
    encoder_token: str = _setting("", _text_or_nothing, "the token that service asks for")
    batch_size: int = _setting(32, _positive, "pictures encoded at once")
    limit: int = _setting(10, _positive, "hits a search returns")
    wait: float = _setting(10.0, _seconds, "seconds to wait for a database another process holds")
    max_bytes: int = _setting(400 * 2**20, _positive, "largest file read, in bytes")
    max_pixels: int = _setting(128_000_000, _positive, "largest picture decoded, in pixels")
    origins: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={shown(self, name)!r}' for name in NAMES)})"

    def is_default(self, name: str) -> bool:
        """Whether nobody set `name`."""
        return self.origins.get(name, "default") == "default"


_FIELDS = {f.name: f for f in fields(Settings) if f.name != "origins"}
NAMES = tuple(_FIELDS)


SECRET = frozenset({"encoder_token"})
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


def user_file() -> Path:
    """Where the user's settings file is, or would be."""
    return config_dir() / "config.toml"


def project_file(start: Path | None = None) -> Path | None:
    """The nearest `clipstack.toml` in `start` (default: this folder) or above it, or None."""
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        candidate = folder / PROJECT_FILE
        if candidate.is_file():
            return candidate
    return None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFoundError(f"{path}: there is no such settings file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from None
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror}") from None


def load(flags: Mapping[str, object] | None = None, *, config: Path | None = None) -> Settings:
    """Settings from all layers.

    Args:
        flags: values given on the command line by setting name; None means not given.
        config: one file to read instead of the user's and the project's.

    Raises:
        NotFoundError: `config` does not exist.
        UsageError: a file, variable or flag holds something that is no setting or no valid value.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}

    def put(name: str, value: object, origin: str) -> None:
        values[name] = parse(name, value, origin)
        origins[name] = origin

    for path in [config] if config else _default_files():
        for name, value in _read_toml(path).items():
            if name == "database" and isinstance(value, str):
                value = str(path.parent / Path(value).expanduser())
            put(name, value, str(path))
    for name in NAMES:
        variable = f"CLIPSTACK_{name.upper()}"
        if os.environ.get(variable):
            put(name, os.environ[variable], variable)
    for name, value in (flags or {}).items():
        if value is not None:
            put(name, value, f"--{name.replace('_', '-')}")
    return Settings(**values, origins=origins)


def _default_files() -> list[Path]:
    found = [user_file()] if user_file().is_file() else []
    project = project_file()
    return [*found, project] if project else found


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
    return "\n".join(lines)
