"""Every test gets its own folders, an empty environment and no network."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import pytest

from tests.material import copy_database
from tests.running import Cli

# Markers, which pyproject.toml describes, by folder or file, and by fixture.
MARKERS_BY_PATH = {
    "stack": "stack",
    "page": "service",
    "service": "service",
    "faults": "slow",
    "packaging/test_install.py": "slow",
    "cli/test_bench.py": "slow",
    "cli/test_meaning.py": "slow",
    "cli/test_optimize.py": "slow",
    "cli/test_transfer_copy.py": "slow",
    "unit/encoders/openvino/test_encoder.py": "slow",
    "unit/encoders/remote": "service",
    "unit/encoders/torch": "slow",
    "unit/index/local/test_concurrency.py": "slow",
    "unit/index/local/test_filesystem.py": "slow",
    "unit/index/local/test_open_mode.py": "slow",
    "unit/search/test_cutoff.py": "slow",
}
MARKERS_BY_FIXTURE = {"browser": "browser", "shared_pictures": "pictures"}
SLOW = {"service", "slow"}
"""Markers of tests that run everywhere, but not with --quick."""
NEEDS = {
    "stack": "Docker and images of the services: a folder stack/ with setup-docker.sh and "
    "build-test-images.sh, in ../shared or in the folder that CLIPSTACK_SHARED names",
    "packages": "a package index that pip and uv reach",
    "browser": "Chromium: see `scripts/chromium`, or type `scripts/chromium --install`",
    "pictures": "pictures that other programs made: a folder pictures/, in ../shared or in the "
    "folder that CLIPSTACK_SHARED names",
}
"""By marker, what its tests can't run without."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--quick",
        action="store_true",
        help="only tests that need nothing and start no services, in two minutes",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    root = Path(__file__).parent
    for item in items:
        path = item.path.relative_to(root).as_posix()
        for place, marker in MARKERS_BY_PATH.items():
            if path == place or path.startswith(f"{place}/"):
                item.add_marker(marker)
        for fixture, marker in MARKERS_BY_FIXTURE.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(marker)
    if config.getoption("quick"):
        excluded = {*NEEDS, *SLOW}
        config.hook.pytest_deselected(
            items=[item for item in items if not excluded.isdisjoint(_markers(item))]
        )
        items[:] = [item for item in items if excluded.isdisjoint(_markers(item))]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say which kinds of tests did not run, and what they need."""
    if config.getoption("quick"):
        terminalreporter.section("not run because of --quick")
        for marker, need in NEEDS.items():
            terminalreporter.line(f"{marker}: needs {need}")
        terminalreporter.line(f"{', '.join(sorted(SLOW))}: take longer")
        terminalreporter.line("`scripts/check` without --quick runs them.")
        return
    skipped = terminalreporter.stats.get("skipped", [])
    counts = Counter(
        next((marker for marker in NEEDS if marker in report.keywords), "") for report in skipped
    )
    del counts[""]
    if counts:
        terminalreporter.section("not run here")
        for marker, count in counts.items():
            terminalreporter.line(f"{count} x {marker}: needs {NEEDS[marker]}")


def _markers(item: pytest.Item) -> set[str]:
    return {marker.name for marker in item.iter_markers()}


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
