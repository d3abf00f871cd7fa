"""The folder and the variables that `bentoml` builds and serves with."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from clipstack.errors import ClipstackError

_FILES = ("service.py", "bentofile.yaml")


def service_folder() -> Path:
    """The folder with service.py and bentofile.yaml: in the package, or the repository's.

    Raises:
        ClipstackError: they are in neither.
    """
    package = Path(__file__).parent.parent
    for folder in (package / "stack" / "home", package.parent):
        if all((folder / name).is_file() for name in _FILES):
            return folder
    raise ClipstackError(
        "this installation has no service.py and bentofile.yaml", hint="Install clipstack again."
    )


@contextmanager
def build_context() -> Iterator[Path]:
    """A folder with the files that the bento is built from, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="clipstack-build-") as name:
        folder = Path(name).resolve()
        for file in _FILES:
            shutil.copyfile(service_folder() / file, folder / file)
        shutil.copytree(
            Path(__file__).parent.parent,
            folder / "clipstack",
            ignore=shutil.ignore_patterns("__pycache__", "home"),
        )
        yield folder


def home_folder() -> Path:
    """BentoML's home."""
    home = Path(os.path.expandvars(os.environ.get("BENTOML_HOME", "~/bentoml")))
    return home.expanduser().resolve()


@contextmanager
def bentoml_home() -> Iterator[Path]:
    """BentoML's home with a folder for temporary files of its own, removed at the end.

    `bentoml build` leaves what it has put there when it fails or is ended.
    """
    home = home_folder()
    (home / "tmp").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="clipstack-", dir=home / "tmp") as name:
        for entry in home.iterdir():
            if entry.name != "tmp":
                (Path(name) / entry.name).symlink_to(entry)
        yield Path(name)


def bentoml_environment(**more: str) -> dict[str, str]:
    """The variables of a `bentoml` process: this process's and `more`, with telemetry off."""
    return os.environ | {"BENTOML_DO_NOT_TRACK": "True", "COLUMNS": "200"} | more


def uv_settings(variables: Mapping[str, str]) -> dict[str, str]:
    """Variables with which uv locks PyTorch's CPU build.

    uv does not read pip's settings, so they are passed on where `variables` has none of uv's own.
    Without either, uv takes PyTorch's CPU build from PyTorch's own index.
    """
    names = {
        "PIP_FIND_LINKS": "UV_FIND_LINKS",
        "PIP_EXTRA_INDEX_URL": "UV_EXTRA_INDEX_URL",
        "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    }
    own = ("UV_TORCH_BACKEND", "UV_INDEX", "UV_INDEX_URL", *names.values())
    if any(variables.get(name) for name in own):
        return {}
    passed_on = {uv: variables[pip] for pip, uv in names.items() if variables.get(pip)}
    if "UV_FIND_LINKS" in passed_on:
        passed_on["UV_FIND_LINKS"] = ",".join(passed_on["UV_FIND_LINKS"].split())
    return passed_on or {"UV_TORCH_BACKEND": "cpu"}
