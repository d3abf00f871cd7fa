"""`clipstack collections export`, `import` and `copy` on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipstack.encoders.models.catalog import describe, resolve
from clipstack.index.schema import row_id
from tests.exchange import MODEL, fill, stored, varied_rows
from tests.material import Model
from tests.running import Cli, Ran

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


@pytest.mark.parametrize(("title", "ending"), [("With pandas", "parquet"), ("With NumPy", "npz")])
def test_the_examples_in_the_documentation_run(
    cli: Cli, database: Path, title: str, ending: str
) -> None:
    ok(cli("collections", "export", "images", f"demo.{ending}"))
    page = (Path(__file__).parents[2] / "docs" / "exchange.md").read_text("utf-8")
    section = page.split(f"## {title}\n")[1].split("\n## ")[0]
    code = [line[4:] for line in section.splitlines() if line.startswith("    ")]
    names: dict[str, Any] = {}
    exec("\n".join(code), names)
    rows = sorted(varied_rows(200), key=lambda row: row.id)
    assert names["vectors"].tobytes() == b"".join(row.vector.tobytes() for row in rows)
    facts = [one if isinstance(one, dict) else {} for one in names["facts"]]
    assert facts == [row.facts for row in rows]
    assert names["info"]["metric"] == "L2"
    if ending == "parquet":
        assert list(names["tagged"]["path"]) == [row.path for row in rows if row.facts.get("tags")]
    else:
        assert list(names["paths"]) == [row.path for row in rows]


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
        (["copy", "images", "--to", "embedded", "--as", "no-name"], 2, "not a valid name for a"),
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
        assert (ran.code, "not a complete" in ran.err, "copied completely" in ran.err) == (
            1,
            True,
            True,
        )
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
        assert done.returncode == 4
        assert "pip install 'clipstack-search[parquet]'" in done.stderr
    assert run("export", "images", "x.npz").returncode == 0
    assert run("import", "x.npz", "-c", "again").returncode == 0
    assert stored(database, "again") == stored(database)
