"""Every test gets its own folders, an empty environment and no network."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.material import copy_database
from tests.running import Cli


@pytest.fixture(autouse=True)
def own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("CLIPSTACK_") and name != "CLIPSTACK_SHARED":
            monkeypatch.delenv(name)
    for kind in ("data", "config", "cache"):
        monkeypatch.setenv(f"CLIPSTACK_{kind.upper()}_DIR", str(tmp_path / kind))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("COLUMNS", "100")
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)


@pytest.fixture
def cli() -> Cli:
    """Runs a command line in this process; see `tests.running.Cli`."""
    return Cli()


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 40 scenes, ten of them in the subfolder `more`."""
    from clipstack.scenes import demo_scenes

    folder = tmp_path_factory.mktemp("gallery")
    (folder / "more").mkdir()
    for number, scene in enumerate(demo_scenes(40)):
        where = folder / "more" if number >= 30 else folder
        scene.draw(random.Random(number), 64).save(where / f"{scene.name}.png")
    return folder


@pytest.fixture(scope="session")
def imported_database(gallery: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the gallery in the collections `images` (COSINE) and `distances` (L2)."""
    folder = tmp_path_factory.mktemp("imported")
    with pytest.MonkeyPatch.context() as patch:
        for kind in ("data", "config", "cache"):
            patch.setenv(f"CLIPSTACK_{kind.upper()}_DIR", str(folder))
        cli = Cli()
        assert cli("import", gallery, "--model", "shapes").code == 0
        l2 = cli("import", gallery, "-m", "shapes", "-c", "distances", "--metric", "L2")
        assert l2.code == 0
    return folder / "clipstack.db"


@pytest.fixture
def imported(imported_database: Path, tmp_path: Path) -> Path:
    """A copy of that database where the commands of this test find it."""
    return copy_database(imported_database, tmp_path / "data" / "clipstack.db")
