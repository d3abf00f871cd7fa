"""Systems without `fcntl`, network file systems, full disks."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clipstack.index.local import database as local_database
from clipstack.index.local import integrity as local_check
from clipstack.index.local.index import LocalIndex
from clipstack.index.local.integrity import Finding, check_database
from clipstack.index.schema import row_id
from tests.local_index import fill, findable_rows, in_process, numbered_row
from tests.material import draw
from tests.namespaces import inside
from tests.running import Cli

ROWS = 120


def use(path: str) -> None:
    """Do everything with a database at `path`; print how its rows are found."""
    database = fill(Path(path), ROWS)
    with LocalIndex(database, wait=5) as index:
        collection = index.collection("images")
        collection.prepare()
        collection.upsert([numbered_row(number) for number in range(50, ROWS + 30)])
        collection.set_tags({row_id("/3"): ["x"]})
        collection.delete([row_id(f"/{number}") for number in range(20)])
        index.compact("images", wait=True)
        remaining = set(range(20, ROWS + 30))
        print(findable_rows(collection, remaining) == remaining, collection.count())
    print({finding.level for finding in check_database(database)})


def use_without_fcntl(path: str) -> None:
    """The same in a Python that has no `fcntl`, as on Windows."""
    sys.modules["fcntl"] = None  # type: ignore[assignment]
    use(path)


def test_without_fcntl(tmp_path: Path) -> None:
    imported = "import sys; sys.modules['fcntl'] = None; import clipstack.index.local.index"
    assert os.spawnl(os.P_WAIT, sys.executable, sys.executable, "-c", imported) == 0
    lines = in_process(use_without_fcntl, tmp_path / "some.db").splitlines()
    assert lines == ["True 130", "{'ok'}"]


def on_network(patch: pytest.MonkeyPatch, kind: str = "nfs4") -> None:
    """Let every folder lie on a network file system."""
    for module in (local_database, local_check):
        patch.setattr(module, "network_filesystem", lambda _: kind)


def write_on_network(path: str) -> None:
    """Write rows 1000 to 1399, in forty parts."""
    on_network(pytest.MonkeyPatch())
    with LocalIndex(Path(path), wait=30) as index:
        collection = index.collection("images")
        for start in range(1000, 1400, 10):
            collection.upsert([numbered_row(number) for number in range(start, start + 10)])
            time.sleep(0.01)


def read_on_network(path: str) -> None:
    """Search until row 1399 is there; print how often, and whether all else was found."""
    on_network(pytest.MonkeyPatch())
    searches, found = 0, set()
    with LocalIndex(Path(path), wait=30) as index:
        collection = index.collection("images")
        while collection.count() < ROWS + 400:
            found.add(len(findable_rows(collection, range(ROWS))))
            searches += 1
        print(searches > 3, found, len(findable_rows(collection, range(1000, 1400))))


def journal(path: Path) -> Finding:
    """What `check` says of the journal."""
    return next(finding for finding in check_database(path) if finding.subject == "journal")


class TestNetwork:
    """WAL needs memory that processes share, which machines can't."""

    def test_another_journal(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        on_network(monkeypatch)
        database = tmp_path / "some.db"
        use(str(database))
        assert sorted(path.name for path in tmp_path.glob("some*")) == [
            "some.db",
            "some.db-vectors",
        ]
        with LocalIndex(database, wait=5):
            assert not database.with_name("some.db-wal").exists()
        finding = journal(database)
        assert finding.level == "ok"
        assert finding.text.startswith("DELETE, as the file lies on nfs4")

    def test_a_reader_beside_a_writer(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        on_network(monkeypatch)
        database = fill(tmp_path / "some.db", ROWS)
        with ThreadPoolExecutor() as pool:
            readers = [pool.submit(in_process, read_on_network, database) for _ in range(2)]
            in_process(write_on_network, database)
        for reader in readers:
            assert reader.result() == f"True {{{ROWS}}} 400\n"

    def test_the_journal_follows_the_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        database = fill(tmp_path / "some.db", ROWS)
        assert journal(database).text.startswith("WAL; searches and imports go on")
        with monkeypatch.context() as patch:
            on_network(patch, "cifs")
            finding = journal(database)
            assert finding.level == "warn"
            assert "WAL; it lies on cifs" in finding.text
            assert "clipstack collections compact NAME" in finding.fix
            with LocalIndex(database, wait=0.2) as index:
                other = LocalIndex(database, wait=0.2)
                index.compact("images", wait=True)
                assert journal(database).text.startswith("WAL"), "others use it"
                other.close()
                index.compact("images", wait=True)
                assert findable_rows(index.collection("images"), range(ROWS)) == set(range(ROWS))
            assert journal(database).level == "ok"
            assert journal(database).text.startswith("DELETE, as the file lies on cifs")
        finding = journal(database)
        assert finding.level == "warn"
        assert "DELETE, though the file lies on this machine" in finding.text
        with LocalIndex(database, wait=0.2) as index:
            index.compact("images", wait=True)
        assert journal(database).text.startswith("WAL; searches and imports go on")

    def test_doctor_says_so(
        self, cli: Cli, imported: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        on_network(monkeypatch)
        ran = cli("doctor")
        assert "WAL; it lies on nfs4" in ran.text
        assert cli("collections", "compact", "images").code == 0
        ran = cli("doctor")
        assert "DELETE, as the file lies on nfs4: a search and an import wait" in ran.text


FULL_DISK = """
folder=$1 python=$2 pictures=$3 free=$4
mount -t tmpfs -o size=3m none "$folder"
export CLIPSTACK_DATA_DIR="$folder"
run() { "$python" -m clipstack "$@" && echo "exit 0" || echo "exit $?"; }
run import "$pictures/some" -m shapes
dd if=/dev/zero of="$folder/other" bs=64k 2>/dev/null || true
truncate -s -"$free" "$folder/other"
echo SEARCH
run search "a ring" --limit 100 -q
echo IMPORT
run import "$pictures" -m shapes --batch-size 16 2>&1
echo SEARCH
run search "a ring" --limit 100 -q
rm "$folder/other"
echo DOCTOR
run doctor
echo IMPORT
run import "$pictures" -m shapes --json
echo LIST
run collections list
"""


@pytest.mark.parametrize("free", [0, 65_536, 262_144])
def test_a_full_disk(tmp_path: Path, free: int) -> None:
    pictures = tmp_path / "pictures"
    (pictures / "some").mkdir(parents=True)
    draw(pictures / "some", 20, 32)
    draw(pictures, 500, 32)
    folder = tmp_path / "disk"
    folder.mkdir()
    ran = inside(FULL_DISK, folder, sys.executable, pictures, free)
    assert ran.returncode == 0, ran.stderr
    parts = ran.stdout.split("SEARCH\n")
    first = parts[1].split("IMPORT\n")
    assert len(first[0].splitlines()) == 21, parts
    assert "clipstack.db" in first[1], first[1]
    assert "the disk is full" in first[1], first[1]
    assert "Make room, then run the same command again." in first[1]
    assert first[1].rstrip().endswith("exit 1")
    found = [line for line in parts[2].split("DOCTOR\n")[0].splitlines() if line[:4] != "exit"]
    assert len(found) >= 20
    checks = [line.split("\t") for line in parts[2].splitlines() if line[:9] == "database\t"]
    assert {level for _, level, *_ in checks} == {"ok"}
    assert "all with their vectors" in parts[2]
    assert '"failed": 0' in parts[2]
    assert "images\t520\t" in parts[2]
