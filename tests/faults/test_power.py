"""After a power failure at any moment the index is whole: see `tests.faults.power`."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.disk import Disk, Record, compile_recorder
from tests.faults.power import LostError, replay, workload


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_recorder(tmp_path_factory.mktemp("recorder"))


@pytest.fixture(scope="module")
def recorded(
    library: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[Path, list[Record]]]:
    """Makes the workload's folder and its records, for a journal."""
    made: dict[str, tuple[Path, list[Record]]] = {}

    def record(journal: str) -> tuple[Path, list[Record]]:
        if journal not in made:
            root = tmp_path_factory.mktemp(journal)
            made[journal] = root, workload(root, library, journal, seed=1)
        return made[journal]

    return record


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_everything_is_recorded(
    recorded: Callable[[str], tuple[Path, list[Record]]], journal: str
) -> None:
    """What is replayed without a failure is what the workload left."""
    root, records = recorded(journal)
    disk = Disk()
    for record in records:
        disk.apply(record)
    replayed = disk.after_failure("all", random.Random(0))
    assert replayed.keys() == {str(path.relative_to(root)) for path in root.rglob("*")}
    for path, content in replayed.items():
        assert content == ((root / path).read_bytes() if content is not None else None)


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_power_failures(recorded: Callable[[str], tuple[Path, list[Record]]], journal: str) -> None:
    _, records = recorded(journal)
    states = replay(records, seed=1, every=len(records) // 150)
    assert min(states.values()) >= 150


@pytest.mark.parametrize(
    ("journal", "ending"),
    [("wal", ".f32"), ("wal", "-wal"), ("wal", "-vectors"), ("wal", "data"), ("delete", "data")],
)
def test_a_sync_that_is_left_out_shows(
    recorded: Callable[[str], tuple[Path, list[Record]]], journal: str, ending: str
) -> None:
    """Each of them is needed, and what replays the writes would notice its loss."""
    _, records = recorded(journal)
    fewer = [one for one in records if one.operation != "S" or not one.path.endswith(ending)]
    assert len(fewer) < len(records)
    with pytest.raises(LostError):
        replay(fewer, seed=1, every=5, kinds=("none", "torn"))
