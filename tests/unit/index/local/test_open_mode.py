"""Where nothing can be written, everything can be found."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clipstack.errors import ClipstackError
from clipstack.index.local.index import LocalIndex
from clipstack.index.local.integrity import check_database
from tests.local_index import fill, findable_rows, in_process, numbered_row
from tests.material import draw
from tests.namespaces import read_only, without_rights
from tests.running import Cli

ROWS = 60
NOBODY = 65534


def content(folder: Path) -> dict[str, str]:
    """A digest of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def write_and_be_killed(path: str, rows: str) -> None:
    """Write rows and end without closing the database."""
    index = LocalIndex(Path(path), wait=10, create=True)
    index.collection("images").upsert([numbered_row(number) for number in range(int(rows))])
    os._exit(0)


def look_as(user: str, path: str) -> None:
    """As another user, print what is found and what writing comes to."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        look(fill(Path(folder) / "other.db", ROWS))  # the user may not read Python's own files
    os.setuid(int(user))
    look(Path(path))


def look(database: Path) -> None:
    """Print what is found in a database and what writing comes to."""
    with LocalIndex(database, wait=1) as index:
        collection = index.collection("images")
        print(len(findable_rows(collection, range(ROWS))), collection.count(), index.names())
        for work in (
            lambda: collection.upsert([numbered_row(7, version=1)]),
            lambda: collection.delete([numbered_row(7).id]),
            lambda: collection.set_tags({numbered_row(7).id: ["x"]}),
            lambda: index.drop("images"),
            lambda: index.compact("images", wait=True),
        ):
            try:
                work()
            except ClipstackError as error:
                print(error.message.removeprefix(str(database)), "|", error.hint)
    print([finding.text for finding in check_database(database) if finding.level == "fail"])


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


REFUSALS = 5 * [
    ": can only be read here | Allow writing to the file and its folder, or use another with "
    "CLIPSTACK_DATABASE."
]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="becoming another user needs root")
@pytest.mark.parametrize("wal", ["closed", "killed", "killed, index lost"])
@pytest.mark.parametrize("kept", ["folder", "file", "both"])
def test_as_another_user(open_folder: Path, wal: str, kept: str) -> None:
    path = fill(open_folder / "some.db", ROWS)
    if wal != "closed":
        in_process(write_and_be_killed, path, ROWS)
        assert path.with_name("some.db-wal").stat().st_size
    if wal == "killed, index lost":
        path.with_name("some.db-shm").unlink()
    for file in open_folder.rglob("*"):
        if file.is_file():
            file.chmod(0o666 if kept == "folder" else 0o644)
    open_folder.chmod(0o777 if kept == "file" else 0o755)
    before = content(open_folder)
    lines = in_process(look_as, NOBODY, path).splitlines()
    assert lines[0] == f"{ROWS} {ROWS} ['images']"
    if (kept, wal) == ("folder", "killed"):  # the files that it needs are all there
        return
    assert lines[1:] == [*REFUSALS, "[]"]
    assert content(open_folder) == before


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("pictures"), 12, 48)


@pytest.mark.parametrize("wal", ["closed", "killed", "killed, index lost"])
def test_commands_on_a_file_system_that_can_only_be_read(
    cli: Cli, tmp_path: Path, pictures: Path, wal: str
) -> None:
    assert cli("import", pictures, "-m", "shapes").code == 0
    data, picture = tmp_path / "data", pictures / "0003.png"
    if wal != "closed":
        in_process(tag_and_be_killed, data / "clipstack.db", picture)
        assert (data / "clipstack.db-wal").stat().st_size
    if wal == "killed, index lost":
        (data / "clipstack.db-shm").unlink()
    before = content(data)

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return read_only(data, sys.executable, "-m", "clipstack", *arguments)

    hits = run("search", "--image", picture, "--limit", 3)
    assert hits.returncode == 0, hits.stderr
    assert str(picture) in hits.stdout.splitlines()[0]
    filtered = run("search", "--image", picture, "--min-width", 10, "--limit", 100, "-q")
    assert len(filtered.stdout.split()) == 12, filtered.stderr
    listed = run("collections", "list")
    assert listed.stdout.split("\t")[:2] == ["images", "12"], listed.stderr
    details = run("show", picture)
    assert details.returncode == 0, details.stderr
    assert ("found before" in details.stdout) == (wal != "closed")
    doctor = run("doctor")
    assert "can only be read here" in doctor.stdout
    (pictures / "0003.png").touch()
    for line in (
        ("import", pictures, "-m", "shapes"),
        ("tag", picture, "--add", "later"),
        ("collections", "compact", "images"),
        ("collections", "drop", "images", "--yes"),
    ):
        result = run(*line)
        assert result.returncode == 1, (line, result.stdout, result.stderr)
        assert f"Error: {data / 'clipstack.db'}: can only be read here" in result.stderr
        assert "Allow writing to the file and its folder" in result.stderr
    assert content(data) == before


def tag_and_be_killed(path: str, picture: str) -> None:
    """Tag a picture and end without closing the database."""
    from clipstack.index.schema import row_id

    index = LocalIndex(Path(path), wait=10)
    index.collection("images").set_tags({row_id(picture): ["found before"]})
    os._exit(0)


@pytest.mark.parametrize("name", ["", "clipstack.db", "clipstack.db-vectors", "1-1.f32"])
def test_what_may_not_be_read(cli: Cli, tmp_path: Path, pictures: Path, name: str) -> None:
    assert cli("import", pictures, "-m", "shapes").code == 0
    data = tmp_path / "data"
    (path,) = [path for path in (data, *data.rglob("*")) if path.name == (name or "data")]
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        (pictures / "0003.png").touch()
        for line in (("search", "a ring"), ("import", pictures, "-m", "shapes")):
            ran = without_rights(sys.executable, "-m", "clipstack", *line)
            assert ran.returncode == 1, (line, ran.stdout, ran.stderr)
            error = next(text for text in ran.stderr.splitlines() if text.startswith("Error"))
            assert str(data / "clipstack.db") in error
            assert "ermission denied" in error or "can't be opened" in error
        doctor = without_rights(sys.executable, "-m", "clipstack", "doctor", "--json")
        groups = {group["name"]: group["checks"] for group in json.loads(doctor.stdout)["groups"]}
        assert [one["level"] for one in groups["database"] if one["level"] != "ok"] == ["fail"]
    finally:
        path.chmod(mode)


def follow(path: str) -> None:
    """Search where nothing can be written until all of another's rows are there."""
    with LocalIndex(Path(path), wait=10) as index:
        collection = index.collection("images")
        print("reading", flush=True)
        while collection.count() < ROWS + 400:
            assert findable_rows(collection, range(ROWS)) == set(range(ROWS))
        assert len(findable_rows(collection, range(1000, 1400))) == 400
        try:
            collection.delete([numbered_row(7).id])
        except ClipstackError as error:
            print(error.message.removeprefix(path))


def test_what_is_written_elsewhere_is_followed(tmp_path: Path) -> None:
    """As a container does that has the folder, but may not write there."""
    path = fill(tmp_path / "some.db", ROWS)
    call = f"import {__name__} as module; module.follow({str(path)!r})"
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(read_only, tmp_path, sys.executable, "-c", call)
        for start in range(1000, 1400, 20):  # opened, written to and closed; which leaves no WAL
            with LocalIndex(path, wait=10) as index:
                rows = [numbered_row(number) for number in range(start, start + 20)]
                index.collection("images").upsert(rows)
            time.sleep(0.1)
        ran = reading.result()
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["reading", ": can only be read here"]
