"""The archive for bug reports, without secrets."""

from __future__ import annotations

import io
import json
import os
import tarfile
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipstack.doctor import docker_diagnostics
from clipstack.doctor.environment import versions
from clipstack.doctor.redaction import Redactor, is_secret, known_secrets
from clipstack.errors import ClipstackError, UsageError
from clipstack.settings import NAMES, Settings, display_value
from clipstack.settings.atomic_file import replace
from clipstack.settings.stack_variables import variables

LOG_LINES = 500
_TAR = (".tar.gz", ".tgz")


def check_name(path: Path) -> None:
    """Raises UsageError when a file's name is not that of a .zip or .tar.gz."""
    if not path.name.endswith((".zip", *_TAR)):
        raise UsageError(
            f"{path}: not the name of an archive", hint="Name it like clipstack.zip or .tar.gz."
        )


def write(
    path: Path, settings: Settings, doctor: Mapping[str, Any], health: Mapping[str, Any]
) -> list[str]:
    """Write the archive; returns the names of the files in it.

    Args:
        path: ends in .zip, .tar.gz or .tgz; an existing file is replaced.
        doctor, health: the reports in the form of `--json`.

    Raises:
        UsageError: the name is not that of an archive.
        ClipstackError: it can't be written.
    """
    check_name(path)
    redactor = Redactor(known_secrets(settings))
    files = _files(settings, doctor, health, redactor)
    packed = _zip(files) if path.suffix == ".zip" else _tar(files)
    try:
        replace(path, packed, mode=0o600)
    except OSError as error:
        raise ClipstackError(f"{path}: can't be written ({error.strerror})") from None
    return list(files)


def _files(
    settings: Settings, doctor: Mapping[str, Any], health: Mapping[str, Any], redactor: Redactor
) -> dict[str, bytes]:
    """The files of the archive by name, without secrets."""
    values = variables(settings.project, settings.stack)
    inspected, logs = docker_diagnostics.inspect_containers(settings.project, LOG_LINES)
    documents: dict[str, Any] = {
        "doctor.json": doctor,
        "health.json": health,
        "config.json": {
            name: {
                "value": display_value(settings, name),
                "origin": settings.origins.get(name, "default"),
            }
            for name in NAMES
        },
        "versions.json": versions(),
        "docker.json": docker_diagnostics.daemon_info(),
        "environment.json": _environment(),
        **{f"containers/{name}.json": attributes for name, attributes in inspected.items()},
    }
    texts = {"compose.yaml": docker_diagnostics.compose_config(values)}
    texts |= {f"logs/{name}.log": text for name, text in logs.items()}
    files = {name: _json(redactor.value(value)) for name, value in documents.items()}
    return files | {name: redactor.text(text).encode() for name, text in texts.items()}


def _json(document: Any) -> bytes:
    text = json.dumps(document, indent=2, ensure_ascii=False, default=str)
    return text.encode("utf-8", "backslashreplace")


def _environment() -> dict[str, str]:
    """The names of all variables, with the values of clipstack's own that are not secret."""
    harmless = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("CLIPSTACK_") and not is_secret(name)
    }
    return {name: harmless.get(name, "") for name in sorted(os.environ)}


def _zip(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def _tar(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mtime = int(time.time())
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()
