"""This installation of clipstack in, the folder that `bentoml` builds and serves from out."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from clipstack.errors import ClipstackError

_FILES = ("service.py", "bentofile.yaml")


def home() -> Path:
    """The folder that holds service.py and bentofile.yaml: in the package, or of the clone.

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
    """A folder with what the bento is made of, and nothing else; removed at the end."""
    with tempfile.TemporaryDirectory(prefix="clipstack-build-") as name:
        folder = Path(name).resolve()
        for file in _FILES:
            shutil.copyfile(home() / file, folder / file)
        shutil.copytree(
            Path(__file__).parent.parent,
            folder / "clipstack",
            ignore=shutil.ignore_patterns("__pycache__", "home"),
        )
        yield folder


def environment(**more: str) -> dict[str, str]:
    """Our variables and `more` for a `bentoml` process, which is to tell nobody what it does."""
    return os.environ | {"BENTOML_DO_NOT_TRACK": "True", "COLUMNS": "200"} | more


def uv_settings(given: Mapping[str, str]) -> dict[str, str]:
    """What uv needs to lock PyTorch's CPU build.

    uv does not read pip's settings, so those of `given` are handed on where uv has none of its
    own. Where nothing says where packages come from, uv is told to look for PyTorch's CPU build.
    """
    names = {
        "PIP_FIND_LINKS": "UV_FIND_LINKS",
        "PIP_EXTRA_INDEX_URL": "UV_EXTRA_INDEX_URL",
        "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    }
    own = ("UV_TORCH_BACKEND", "UV_INDEX", "UV_INDEX_URL", *names.values())
    if any(given.get(name) for name in own):
        return {}
    found = {uv: given[pip] for pip, uv in names.items() if given.get(pip)}
    if "UV_FIND_LINKS" in found:
        found["UV_FIND_LINKS"] = ",".join(found["UV_FIND_LINKS"].split())
    return found or {"UV_TORCH_BACKEND": "cpu"}
