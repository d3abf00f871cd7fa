"""Pictures that other programs made, where they lie beside the repository."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest

from tests.unit.images.samples import PICTURES


@pytest.fixture
def shared_pictures() -> Path:
    """The folder of shared pictures; a test that needs it is skipped where there is none."""
    if not PICTURES.is_dir():
        pytest.skip(f"no folder {PICTURES}")
    return PICTURES


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, which `tmp_path` is not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def ordinary_user() -> AbstractContextManager[None]:
    """Inside it, this process has no more rights than a user: root gives its own up."""
    return _nobody() if os.geteuid() == 0 else nullcontext()


@contextmanager
def _nobody() -> Iterator[None]:
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
