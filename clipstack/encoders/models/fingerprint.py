"""Fingerprints: the files of a model in, hex digits out that are the same wherever they lie."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from clipstack.encoders.models.configuration import ModelConfiguration, TextConfiguration
from clipstack.errors import PrerequisiteError
from clipstack.settings import atomic_file, cache_dir

_SCHEMA = 1


def fingerprint(configuration: ModelConfiguration) -> str:
    """SHA-256 over what decides the vectors: weights, architecture, preprocessing, tokenisation.

    File names, times and places don't count; the weights' file format does (the same numbers
    in `.bin` and `.safetensors` have two fingerprints).

    Returns:
        64 hex digits.

    Raises:
        PrerequisiteError: a file can't be read or the tokenizer's file is broken.
    """
    parts = {
        "schema": _SCHEMA,
        "weights": [_digest(path, _content) for path in configuration.weights],
        "dimension": configuration.dimension,
        "architecture": configuration.architecture,
        "preprocessing": asdict(configuration.preprocessing),
        "text": _text_parts(configuration.text),
    }
    return hashlib.sha256(_canonical(parts)).hexdigest()


def _text_parts(rules: TextConfiguration) -> dict[str, Any]:
    return {
        "padding": rules.padding,
        "attention_mask": rules.attention_mask,
        "lowercase": rules.lowercase,
        "tokenizer": rules.tokenizer,
        "options": dict(rules.options),
        "files": [
            _digest(path, _json_content if path.suffix == ".json" else _content)
            for path in rules.files
        ],
    }


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _content(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _json_content(path: Path) -> str:
    try:
        return hashlib.sha256(_canonical(json.loads(path.read_text("utf-8")))).hexdigest()
    except ValueError as error:
        raise PrerequisiteError(f"{path} can't be read as JSON: {error}") from None


def _digest(path: Path, compute: Callable[[Path], str]) -> str:
    """`compute(path)`, remembered for as long as the file stays the same file."""
    real = path.resolve()
    state = real.stat()
    key = str(real)
    seal = [state.st_size, state.st_mtime_ns, state.st_ino]
    entry = _read_cache().get(key)
    if isinstance(entry, dict) and entry.get("seal") == seal and _is_digest(entry.get("sha256")):
        return str(entry["sha256"])
    try:
        digest = compute(real)
    except OSError as error:
        raise PrerequisiteError(f"{path} can't be read: {error.strerror or error}") from None
    _remember(key, {"seal": seal, "sha256": digest})
    return digest


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64


def cache_file() -> Path:
    """Where digests are remembered."""
    return cache_dir() / "digests.json"


def _read_cache() -> dict[str, Any]:
    try:
        value = json.loads(cache_file().read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _remember(key: str, entry: dict[str, Any]) -> None:
    """Nothing depends on the cache: where it can't be written, the next call hashes again."""
    entries = {name: value for name, value in _read_cache().items() if Path(name).is_file()}
    entries[key] = entry
    with contextlib.suppress(OSError):
        cache_file().parent.mkdir(parents=True, exist_ok=True)
        atomic_file.replace(cache_file(), json.dumps(entries, indent=1), mode=0o600)
