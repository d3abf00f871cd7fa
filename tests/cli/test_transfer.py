"""`clipstack collections export`, `import` and `copy` on this machine."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipstack.encoders.models import describe, resolve
from clipstack.index.local.index import LocalIndex
from clipstack.index.schema import row_id
from tests.exchange import MODEL, fill, stored, varied_rows
from tests.material import Model
from tests.running import Cli, Ran, process

ENDINGS = ("parquet", "npz")


def ok(ran: Ran) -> Ran:
    assert ran.code == 0, ran.err + ran.out
    return ran


def shapes() -> Model:
    """The model `shapes`, as a collection remembers it."""
    model = describe(resolve("shapes", download=False))
    return Model(model.name, model.revision, model.fingerprint, model.dimension)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with 200 varied rows in `images`, which compares by L2."""
    path = tmp_path / "data" / "clipstack.db"
    fill(path, varied_rows(200), metric="L2")
    return path


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Where another database may be made."""
    return tmp_path / "elsewhere" / "clipstack.db"


def foreign(file: Path, rows: int = 3, **columns: Any) -> Path:
    """A Parquet file of another program: paths, and vectors of the model `shapes`."""
    vectors = np.random.default_rng(0).standard_normal((rows, shapes().dimension))
    paths = [f"/x/{number}.jpg" for number in range(rows)]
    pq.write_table(pa.table({"path": paths, "vector": list(vectors)} | columns), file)
    return file


@pytest.mark.parametrize("ending", ENDINGS)
def test_rows_come_back_as_they_were(
    cli: Cli,
    database: Path,
    elsewhere: Path,
    tmp_path: Path,
    ending: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = tmp_path / f"1.{ending}", tmp_path / f"2.{ending}"
    exported = ok(cli("collections", "export", "images", first, mode="json")).json
    assert (exported["rows"], exported["bytes"]) == (200, first.stat().st_size)
    shown = ok(cli("collections", "show", "images", mode="json")).json

    monkeypatch.setenv("CLIPSTACK_DATABASE", str(elsewhere))
    done = ok(cli("collections", "import", first, mode="json")).json
    assert (done["collection"], done["created"], done["imported"]) == ("images", True, 200)
    assert (done["left_out"], done["left_out_by_reason"], done["examples"]) == (0, {}, [])
    assert stored(elsewhere) == stored(database)
    assert ok(cli("collections", "show", "images", mode="json")).json == shown
    ok(cli("collections", "export", "images", second))
    if ending == "parquet":
        assert pq.read_table(second).equals(pq.read_table(first), check_metadata=True)
    else:
        with np.load(first) as one, np.load(second) as other:
            assert one.files == other.files
            assert all(one[name].tobytes() == other[name].tobytes() for name in one.files)


def test_pyarrow_and_pandas_read_parquet_as_documented(
    cli: Cli, database: Path, tmp_path: Path
) -> None:
    file = tmp_path / "x.parquet"
    ok(cli("collections", "export", "images", file))
    schema = pq.read_schema(file)
    assert {field.name: str(field.type) for field in schema} == {
        **dict.fromkeys(("id", "path", "digest"), "string"),
        **dict.fromkeys(("size", "mtime_ns", "width", "height"), "int64"),
        "format": "string",
        **dict.fromkeys(("taken_at", "imported_at"), "int64"),
        "facts": "string",
        "tags": "list<element: string>",
        "vector": "fixed_size_list<element: float not null>[8]",
    }
    assert json.loads(schema.metadata[b"clipstack"]) == {
        "clipstack": 1,
        "collection": "images",
        "model": MODEL.name,
        "revision": MODEL.revision,
        "fingerprint": MODEL.fingerprint,
        "dimension": 8,
        "metric": "L2",
    }
    frame = pd.read_parquet(file)
    assert frame["id"].is_monotonic_increasing
    rows = {row.path: row for row in varied_rows(200)}
    assert set(frame["path"]) == set(rows)
    for record in frame.to_dict("records"):
        row = rows[record["path"]]
        assert record["vector"].tobytes() == row.vector.tobytes()
        assert (
            json.loads(record["facts"] if isinstance(record["facts"], str) else "{}") == row.facts
        )
        tags = record["tags"]
        assert (None if tags is None else list(tags)) == row.facts.get("tags")
        for name in ("id", "digest", "size", "mtime_ns", "width", "height", "format", "taken_at"):
            assert record[name] == getattr(row, name)


def test_numpy_reads_npz_as_documented(cli: Cli, database: Path, tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    ok(cli("collections", "export", "images", file))
    rows = {row.path: row for row in varied_rows(200)}
    with np.load(file, allow_pickle=False) as arrays:
        assert json.loads(arrays["clipstack"].item())["fingerprint"] == MODEL.fingerprint
        assert (arrays["vector"].shape, arrays["vector"].dtype) == ((200, 8), np.float32)
        paths = np.char.decode(arrays["path"], "utf-8")
        text, offsets = arrays["facts"].tobytes(), arrays["facts_offsets"]
        for number, path in enumerate(paths):
            row = rows[path]
            assert arrays["vector"][number].tobytes() == row.vector.tobytes()
            assert arrays["id"][number].decode() == row.id
            assert (arrays["size"][number], arrays["mtime_ns"][number]) == (row.size, row.mtime_ns)
            facts = text[offsets[number] : offsets[number + 1]]
            assert json.loads(facts or "{}") == row.facts


def test_what_pandas_writes_comes_in_again(
    cli: Cli, database: Path, elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "own.db", varied_rows(50, shapes().dimension), model=shapes())
    monkeypatch.setenv("CLIPSTACK_DATABASE", str(tmp_path / "own.db"))
    ok(cli("collections", "export", "images", tmp_path / "1.parquet"))
    frame = pd.read_parquet(tmp_path / "1.parquet")
    frame.to_parquet(tmp_path / "2.parquet")
    monkeypatch.setenv("CLIPSTACK_DATABASE", str(elsewhere))
    ok(cli("collections", "import", tmp_path / "2.parquet", "--model", "shapes"))
    assert stored(elsewhere) == stored(tmp_path / "own.db")


def test_export_writes_over_a_file_only_after_a_yes(
    cli: Cli, database: Path, tmp_path: Path
) -> None:
    file = tmp_path / "x.npz"
    file.write_text("precious")
    ran = cli("collections", "export", "images", file)
    assert (ran.code, "--yes" in ran.err) == (8, True)
    assert file.read_text() == "precious"
    ok(cli("collections", "export", "images", file, "--yes"))
    assert np.load(file)["vector"].shape == (200, 8)


@pytest.mark.parametrize(
    ("line", "code", "complaint"),
    [
        (["export", "nowhere", "x.npz"], 6, "no collection 'nowhere'"),
        (["export", "images", "x.csv"], 2, "neither a .parquet nor a .npz file"),
        (["export", "images", "none/x.npz"], 6, "there is no folder"),
        (["import", "none.npz"], 6, "there is no none.npz"),
        (["import", "*.parquet"], 6, "there is no *.parquet"),
        (["copy", "images", "--to", "embedded"], 2, "onto itself"),
        (["copy", "images", "--to", "embedded", "--as", "images"], 2, "onto itself"),
        (["copy", "images", "--to", "moon"], 6, "no target 'moon'"),
        (["copy", "images", "--to", "embedded", "--as", "no-name"], 2, "no name for a collection"),
        (["copy", "nowhere", "--to", "embedded", "--as", "x"], 6, "no collection 'nowhere'"),
    ],
)
def test_what_can_not_be_done_changes_nothing(
    cli: Cli, database: Path, line: list[str], code: int, complaint: str
) -> None:
    ran = cli("collections", *line)
    assert (ran.code, complaint in ran.err) == (code, True), ran.err
    assert list(Path().iterdir()) == []
    assert cli("collections", "list", mode="quiet").out.split() == ["images"]


def test_an_export_that_does_not_fit_leaves_nothing(database: Path, tmp_path: Path) -> None:
    fill(database, varied_rows(500, 512), "large", model=replace(MODEL, dimension=512))
    for ending in ENDINGS:
        running = process(
            *("collections", "export", "large", tmp_path / f"x.{ending}"),
            preexec_fn=lambda: _no_file_over(200_000),
        )
        _, err = running.communicate(timeout=60)
        assert (running.returncode, "can't be written" in err) == (1, True), err
        assert not [path.name for path in tmp_path.iterdir() if path.name.startswith((".x", "x"))]


def _no_file_over(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("ending", ENDINGS)
def test_only_a_path_and_a_vector_are_needed(cli: Cli, tmp_path: Path, ending: str) -> None:
    file = foreign(tmp_path / "x.parquet")
    if ending == "npz":
        table = pq.read_table(file)
        file = tmp_path / "x.npz"
        np.savez(
            file, path=np.array(table["path"].to_pylist()), vector=list(table["vector"].to_pylist())
        )
    ran = cli("collections", "import", file)
    assert (ran.code, "--model NAME" in ran.err) == (2, True)
    assert not (tmp_path / "data" / "clipstack.db").exists()
    ran = ok(cli("collections", "import", file, "-m", "shapes", "--metric", "ip", mode="json"))
    assert (ran.json["collection"], ran.json["imported"]) == ("images", 3)
    shown = ok(cli("collections", "show", "images", mode="json")).json
    assert (shown["model"], shown["metric"], shown["rows"]) == ("shapes", "IP", 3)
    hits = ok(cli("search", "--like", "/x/1.jpg", "-k", "3", "-q")).out.split()
    assert sorted(hits) == ["/x/0.jpg", "/x/2.jpg"]


def test_relative_paths_begin_in_this_folder(cli: Cli, tmp_path: Path) -> None:
    file = foreign(tmp_path / "x.parquet", path=["a.jpg", "b/c.jpg", "../d.jpg"])
    ok(cli("collections", "import", file, "-m", "shapes"))
    here = Path.cwd()
    rows = stored(tmp_path / "data" / "clipstack.db")
    assert set(rows) == {
        row_id(str(path)) for path in (here / "a.jpg", here / "b" / "c.jpg", here.parent / "d.jpg")
    }


@pytest.mark.parametrize("mode", ["human", "plain", "json"])
def test_bad_rows_are_counted_and_cost_nobody_else(cli: Cli, tmp_path: Path, mode: str) -> None:
    file = foreign(
        tmp_path / "x.parquet",
        rows=6,
        path=["/good", None, "https://a/b.jpg", "/too/long" * 500, "/bad\x1bfacts", "/good/too"],
        facts=["{}", None, None, None, "[", None],
    )
    ran = cli("collections", "import", file, "-m", "shapes", mode=mode)
    assert ran.code == 7
    reasons = {"no path": 1, "unusable path": 2, "unusable facts": 1}
    if mode == "json":
        assert (ran.json["imported"], ran.json["left_out"]) == (2, 4)
        assert ran.json["left_out_by_reason"] == reasons
        assert [(one["row"], one["path"][:5], one["reason"]) for one in ran.json["examples"]] == [
            (1, "", "no path"),
            (2, "https", "unusable path"),
            (3, "/too/", "unusable path"),
            (4, "/bad\x1b", "unusable facts"),
        ]
    elif mode == "plain":
        assert "imported\t2\nleft out\t4\n" in ran.out
        assert "unusable path\t2\n" in ran.out
    else:
        assert "2 imported into images 4 left out" in ran.text
        assert "\x1bfacts" not in ran.out
    assert cli("collections", "show", "images", mode="json").json["rows"] == 2


def test_many_bad_rows_are_counted_all_and_named_in_part(cli: Cli, tmp_path: Path) -> None:
    file = foreign(tmp_path / "x.parquet", rows=1000, path=["/good", *[""] * 999])
    done = cli("collections", "import", file, "-m", "shapes", mode="json").json
    assert (done["left_out"], len(done["examples"])) == (999, 100)


def test_several_files_and_globs(cli: Cli, database: Path, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    ok(cli("collections", "export", "images", parts / "0.parquet"))
    table = pq.read_table(parts / "0.parquet")
    for number in range(3):
        pq.write_table(table.slice(number * 70, 70), parts / f"{number}.parquet")
    ok(cli("collections", "export", "images", parts / "all[1].npz"))
    done = ok(cli("collections", "import", f"{parts}/*.parquet", "-c", "again", mode="json")).json
    assert (len(done["files"]), done["imported"]) == (3, 200)
    ok(cli("collections", "import", parts / "all[1].npz", parts / "0.parquet", "-c", "third"))
    assert stored(database, "again") == stored(database, "third") == stored(database)


def test_columns_that_are_not_read_are_named(cli: Cli, tmp_path: Path) -> None:
    file = foreign(tmp_path / "x.parquet", caption=["a", "b", "c"], clip_score=[1.0, 2.0, 3.0])
    assert (
        "not read: caption, clip_score"
        in ok(cli("collections", "import", file, "-m", "shapes")).err
    )


def test_files_of_several_collections_need_a_name(cli: Cli, database: Path, tmp_path: Path) -> None:
    fill(database, varied_rows(5, start=1000), "more", metric="L2")
    for name in ("images", "more"):
        ok(cli("collections", "export", name, tmp_path / f"{name}.npz"))
    ran = cli("collections", "import", f"{tmp_path}/*.npz")
    assert (ran.code, "images, more" in ran.err) == (2, True)
    done = ok(cli("collections", "import", f"{tmp_path}/*.npz", "-c", "both", mode="json")).json
    assert done["imported"] == 205


def test_vectors_of_another_model_are_refused(cli: Cli, database: Path, tmp_path: Path) -> None:
    fill(database, varied_rows(5), "others", model=replace(MODEL, fingerprint="beef"))
    for name in ("images", "others"):
        ok(cli("collections", "export", name, tmp_path / f"{name}.parquet"))
    before = stored(database)
    for line in (
        ["import", tmp_path / "others.parquet", "-c", "images"],
        ["import", tmp_path / "others.parquet", tmp_path / "images.parquet", "-c", "images"],
        ["copy", "others", "--to", "embedded", "--as", "images"],
        ["import", foreign(tmp_path / "x.parquet"), "-c", "images", "-m", "shapes"],
        ["import", tmp_path / "others.parquet", "-c", "new", "-m", "shapes"],
    ):
        ran = cli("collections", *line)
        assert (ran.code, "vectors" in ran.err) == (1, True), ran.err
    assert stored(database) == before
    assert cli("collections", "list", mode="quiet").out.split() == ["images", "others"]


def test_vectors_of_another_dimension_are_refused(cli: Cli, tmp_path: Path) -> None:
    vectors = pa.array([[1.0] * 7] * 3, pa.list_(pa.float32(), 7))
    ran = cli(
        "collections", "import", foreign(tmp_path / "x.parquet", vector=vectors), "-m", "shapes"
    )
    assert (ran.code, "7 numbers" in ran.err) == (1, True)
    assert cli("collections", "list", mode="quiet").out == ""


def test_another_metric(cli: Cli, database: Path, tmp_path: Path) -> None:
    ok(cli("collections", "export", "images", tmp_path / "x.npz"))
    fill(database, [], "cosine", metric="COSINE")
    ran = cli("collections", "copy", "images", "--to", "embedded", "--as", "cosine")
    assert (ran.code, "compares by COSINE" in ran.err) == (1, True)
    ran = cli("collections", "import", tmp_path / "x.npz", "--metric", "COSINE", "-c", "images")
    assert (ran.code, "compares by L2" in ran.err) == (2, True)
    ran = ok(cli("collections", "import", tmp_path / "x.npz", "-c", "cosine"))
    assert "compares by COSINE, not by L2" in ran.err
    ok(cli("collections", "import", tmp_path / "x.npz", "--metric", "IP", "-c", "ip"))
    assert ok(cli("collections", "show", "ip", mode="json")).json["metric"] == "IP"


def test_damaged_files_change_nothing(cli: Cli, database: Path, tmp_path: Path) -> None:
    for ending in ENDINGS:
        file = tmp_path / f"x.{ending}"
        ok(cli("collections", "export", "images", file))
        file.write_bytes(file.read_bytes()[:-100])
        ran = cli("collections", "import", file, "-c", "new")
        assert (ran.code, "no whole" in ran.err, "copied completely" in ran.err) == (1, True, True)
    assert cli("collections", "list", mode="quiet").out.split() == ["images"]


def test_without_pyarrow_npz_still_works(database: Path, tmp_path: Path) -> None:
    program = (
        "import importlib.util as u, sys\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'pyarrow' else find(name, *more)\n"
        "sys.modules['pyarrow'] = None\n"
        "from clipstack.cli.app import run\n"
        "sys.exit(run(sys.argv[1:]))"
    )

    def run(*args: object) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-c", program, "collections", *map(str, args)]
        return subprocess.run(line, capture_output=True, text=True, check=False)

    for line in (["export", "images", "x.parquet"], ["import", "x.parquet"]):
        Path("x.parquet").touch()
        done = run(*line)
        assert (done.returncode, "pip install 'clipstack[parquet]'" in done.stderr) == (4, True)
    assert run("export", "images", "x.npz").returncode == 0
    assert run("import", "x.npz", "-c", "again").returncode == 0
    assert stored(database, "again") == stored(database)


def copy(cli: Cli, *more: object) -> dict[str, Any]:
    return ok(cli("collections", "copy", "images", "--to", "embedded", *more, mode="json")).json


def test_a_copy_and_what_changes_afterwards(cli: Cli, database: Path) -> None:
    counts = copy(cli, "--as", "copy")["counts"]
    assert counts == {"new": 200, "changed": 0, "unchanged": 0}
    assert stored(database, "copy") == stored(database)
    assert copy(cli, "--as", "copy")["counts"] == {"new": 0, "changed": 0, "unchanged": 200}

    rows = varied_rows(210)
    with LocalIndex(database, wait=10) as index:
        images = index.collection("images")
        images.upsert(rows[200:])
        changed = replace(rows[0], vector=rows[0].vector + 1)
        images.upsert([changed, replace(rows[1], facts=rows[1].facts | {"title": "new"})])
        images.set_tags({rows[2].id: [], rows[3].id: ["more"]})
    counts = copy(cli, "--as", "copy")["counts"]
    assert counts == {"new": 10, "changed": 4, "unchanged": 196}
    assert stored(database, "copy") == stored(database)


def test_a_copy_leaves_other_rows_alone(cli: Cli, database: Path) -> None:
    more = varied_rows(20, start=5000)
    fill(database, more, "copy", metric="L2")
    assert copy(cli, "--as", "copy")["counts"]["new"] == 200
    rows = stored(database, "copy")
    assert len(rows) == 220
    assert {row.id for row in more} <= set(rows)


def test_an_alias_can_be_copied(cli: Cli, database: Path) -> None:
    ok(cli("collections", "alias", "images", "current"))
    ran = cli("collections", "copy", "current", "--to", "embedded")
    assert (ran.code, "onto itself" in ran.err) == (2, True)
    ran = cli("collections", "copy", "images", "--to", "embedded", "--as", "current")
    assert (ran.code, "onto itself" in ran.err) == (2, True)
    ok(cli("collections", "copy", "current", "--to", "embedded", "--as", "copy"))
    assert stored(database, "copy") == stored(database)


LARGE = replace(MODEL, dimension=256)
MANY = 20_000


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of many rows."""
    path = tmp_path_factory.mktemp("many") / "clipstack.db"
    fill(path, varied_rows(MANY, LARGE.dimension), model=LARGE)
    return path


def test_ctrl_c_keeps_what_is_copied(cli: Cli, many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPSTACK_DATABASE", str(many))
    with LocalIndex(many, wait=10) as index:
        running = process("collections", "copy", "images", "--to", "embedded", "--as", "stopped")
        until = time.monotonic() + 60
        while not index.exists("stopped") and time.monotonic() < until:
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=60)
        assert running.returncode == 130, err
        assert "run it again" in err
        assert index.describe("stopped").rows < MANY
        ok(cli("collections", "copy", "images", "--to", "embedded", "--as", "stopped"))
        assert index.describe("stopped").rows == MANY
        index.drop("stopped")


def test_ctrl_c_of_an_export_leaves_nothing(
    cli: Cli, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIPSTACK_DATABASE", str(many))
    running = process("collections", "export", "images", tmp_path / "x.npz")
    until = time.monotonic() + 60
    while not list(tmp_path.glob(".x.npz.*")) and time.monotonic() < until:
        time.sleep(0.001)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert (running.returncode, "interrupted" in err) == (130, True), err
    assert [path.name for path in tmp_path.iterdir() if "x.npz" in path.name] == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_killed_export_leaves_no_half_file(
    cli: Cli, many: Path, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIPSTACK_DATABASE", str(many))
    file = tmp_path / f"x.{ending}"
    for seconds in (0.3, 0.5, 0.7, 0.9, 1.1):
        running = process("collections", "export", "images", file, "--yes")
        time.sleep(seconds)
        running.kill()
        running.communicate()
        if file.exists():
            done = ok(cli("collections", "import", file, "-c", "again", mode="json")).json
            assert done["imported"] == MANY
            file.unlink()
            ok(cli("collections", "drop", "again", "--yes"))


def test_rows_added_during_a_copy_are_copied_too(
    cli: Cli, many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIPSTACK_DATABASE", str(many))
    with LocalIndex(many, wait=60) as index:
        running = process("collections", "copy", "images", "--to", "embedded", "--as", "followed")
        until = time.monotonic() + 60
        while not index.exists("followed") and time.monotonic() < until:
            time.sleep(0.01)
        added = varied_rows(10, LARGE.dimension, start=10**6)
        index.collection("images").upsert(added)
        _, err = running.communicate(timeout=120)
        assert running.returncode == 0, err
    assert stored(many, "followed") == stored(many)


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    peaks: dict[str, list[int]] = {}
    wide = replace(MODEL, dimension=1024)
    for count in (15_000, 45_000):  # vectors of 60 MiB and 180 MiB
        database = tmp_path / f"{count}.db"
        fill(database, varied_rows(count, 1024), model=wide)
        for ending in ENDINGS:
            file = tmp_path / f"{count}.{ending}"
            for line in (["export", "images", file], ["import", file, "-c", ending]):
                peak = _private_peak({"CLIPSTACK_DATABASE": str(database)}, *line)
                peaks.setdefault(f"{line[0]} {ending}", []).append(peak)
    assert all(large < small + 60 for small, large in peaks.values()), peaks


def _private_peak(world: dict[str, str], *args: object) -> int:
    """The most private memory a command has at any moment, in MiB."""
    running = process("collections", *args, env=os.environ | world, stdout=subprocess.DEVNULL)
    peak = 0
    while running.poll() is None:
        status = Path(f"/proc/{running.pid}/status").read_text()
        for line in status.splitlines():
            if line.startswith("RssAnon"):
                peak = max(peak, int(line.split()[1]) // 1024)
        time.sleep(0.005)
    assert running.communicate()[1] is not None
    assert running.returncode == 0
    return peak
