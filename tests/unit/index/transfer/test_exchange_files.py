"""Files of other programs, and damaged ones: what is read of them, and what is said."""

from __future__ import annotations

import contextlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipstack.errors import ClipstackError
from clipstack.index.schema import CollectionInfo, Row
from clipstack.index.transfer import exchange_files
from clipstack.index.transfer.validation import RowValidator
from tests.exchange import MODEL, as_values, varied_rows

INFO = CollectionInfo("images", MODEL.name, MODEL.revision, MODEL.fingerprint, 8, "L2")
VECTORS = np.arange(1, 25, dtype=np.float32).reshape(3, 8)
PATHS = ["/a.jpg", "/ü.jpg", "/c.jpg"]


def read(path: Path) -> tuple[list[Row], dict[int, Any]]:
    """The rows of a file, and the problems of others by their number."""
    rows: list[Row] = []
    problems: dict[int, Any] = {}
    with contextlib.closing(exchange_files.open_source(str(path))) as source:
        for batch in source.batches(8):
            some, bad = RowValidator(INFO, 5).rows(batch)
            rows += some
            problems |= {batch.first + number: problem for number, problem in bad.items()}
    return rows, problems


def vectors(path: Path) -> np.ndarray:
    rows, problems = read(path)
    assert not problems
    assert [row.path for row in rows] == PATHS
    return np.stack([row.vector for row in rows])


def parquet(file: Path, **columns: Any) -> Path:
    pq.write_table(pa.table({"path": PATHS} | columns), file)
    return file


@pytest.mark.parametrize(
    "type",
    [
        pa.list_(pa.float32()),
        pa.list_(pa.float64()),
        pa.list_(pa.float16()),
        pa.large_list(pa.float32()),
        pa.list_(pa.float64(), 8),
        pa.list_(pa.float16(), 8),
    ],
    ids=str,
)
def test_parquet_vectors_of_other_types(tmp_path: Path, type: pa.DataType) -> None:
    file = parquet(tmp_path / "x.parquet", vector=pa.array(list(VECTORS.astype(float)), type))
    assert vectors(file).tolist() == VECTORS.tolist()


def test_parquet_rows_without_a_usable_vector(tmp_path: Path) -> None:
    lists = [None, [1.0] * 7, [], [1.0] * 7 + [None], [1e300] * 8, [2.0] * 8]
    paths = [f"/{number}" for number in range(len(lists))]
    file = parquet(
        tmp_path / "x.parquet", path=paths, vector=pa.array(lists, pa.list_(pa.float64()))
    )
    rows, problems = read(file)
    assert [row.path for row in rows] == ["/5"]
    assert rows[0].vector.tolist() == [2.0] * 8
    assert [problem.reason for problem in problems.values()] == [
        *("no vector", "wrong dimension", "wrong dimension", "not finite", "not finite")
    ]
    assert problems[1].detail == "7 numbers, not 8"


def test_parquet_fixed_lists_with_nulls(tmp_path: Path) -> None:
    column = pa.array([[1.0] * 8, None, [3.0] * 8], pa.list_(pa.float32(), 8))
    rows, problems = read(parquet(tmp_path / "x.parquet", vector=column))
    assert [(row.path, row.vector[0]) for row in rows] == [("/a.jpg", 1), ("/c.jpg", 3)]
    assert [problem.reason for problem in problems.values()] == ["no vector"]


@pytest.mark.parametrize(
    "type", [pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string())], ids=str
)
def test_parquet_texts_of_other_types(tmp_path: Path, type: pa.DataType) -> None:
    paths = pa.array(PATHS).cast(pa.binary() if type == pa.binary() else pa.string()).cast(type)
    vectors(parquet(tmp_path / "x.parquet", path=paths, vector=list(VECTORS)))


def test_parquet_numbers_of_other_types(tmp_path: Path) -> None:
    file = parquet(
        tmp_path / "x.parquet",
        vector=list(VECTORS),
        size=pa.array([1.0, None, float("nan")]),
        width=pa.array([1, 2, 3], pa.uint8()),
        taken_at=pa.array([0, 1_500_000, None], pa.timestamp("ms", tz="UTC")),
        mtime_ns=pa.array([0, 1_500, 7], pa.timestamp("us")),
        imported_at=pa.nulls(3),
    )
    rows, problems = read(file)
    assert not problems
    facts = [(row.size, row.width, row.taken_at, row.mtime_ns, row.imported_at) for row in rows]
    assert facts == [(1, 1, 0, 0, 5), (0, 2, 1500, 1_500_000, 5), (0, 3, 0, 7000, 5)]


def test_values_that_can_not_be_read_cost_their_row(tmp_path: Path) -> None:
    file = parquet(
        tmp_path / "x.parquet",
        path=pa.array([b"/a", b"/\xff", b"/c"], pa.binary()),
        vector=list(VECTORS),
        width=[1.0, 1.0, 2.5],
    )
    rows, problems = read(file)
    assert [row.path for row in rows] == ["/a"]
    assert problems[1].detail == "path is not valid UTF-8"
    assert problems[2] == ("unusable value", "width 2.5")


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({}, "no column 'vector'"),
        ({"vector": [1.0, 2.0, 3.0]}, "must hold lists of floating-point numbers, not double"),
        ({"vector": [[1], [2], [3]]}, "must hold lists of floating-point numbers"),
        ({"vector": list(VECTORS), "path": [1, 2, 3]}, "'path' must hold texts, not int64"),
        ({"vector": list(VECTORS), "size": ["1", "2", "3"]}, "'size' must hold whole numbers"),
        ({"vector": list(VECTORS), "tags": ["a", "b", "c"]}, "'tags' must hold lists of texts"),
    ],
)
def test_parquet_columns_that_can_not_be_used(
    tmp_path: Path, columns: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ClipstackError, match=complaint):
        read(parquet(tmp_path / "x.parquet", **columns))


@pytest.mark.parametrize(
    "convert",
    [
        lambda vectors: vectors.astype(np.float16),
        lambda vectors: vectors.astype(np.float64),
        lambda vectors: vectors.astype(">f4"),
        np.asfortranarray,
    ],
    ids=["half", "double", "big-endian", "columns first"],
)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("texts", [np.array(PATHS), np.char.encode(PATHS, "utf-8")])
def test_npz_of_other_programs(
    tmp_path: Path, convert: Callable[[Any], Any], save: Callable[..., None], texts: Any
) -> None:
    save(tmp_path / "x.npz", path=texts, vector=convert(VECTORS))
    assert vectors(tmp_path / "x.npz").tolist() == VECTORS.tolist()


def test_npz_values_that_can_not_be_read_cost_their_row(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "x.npz",
        path=np.array([b"/a", b"/\xff", b""]),
        vector=VECTORS,
        size=np.array([1.0, 2.0, np.nan]),
    )
    rows, problems = read(tmp_path / "x.npz")
    assert [(row.path, row.size) for row in rows] == [("/a", 1)]
    assert [problem.reason for problem in problems.values()] == ["unusable path", "no path"]


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"path": np.array(PATHS)}, "no array 'vector'"),
        ({"path": np.array(PATHS, object), "vector": VECTORS}, "must be 3 texts, not object"),
        ({"path": np.array(PATHS[:2]), "vector": VECTORS}, "'path' must be 3 texts"),
        ({"path": np.array(PATHS), "vector": VECTORS.ravel()}, "'vector' must be floating-point"),
        ({"path": np.array(PATHS), "vector": VECTORS.astype(int)}, "must be floating-point"),
        (
            {"path": np.array(PATHS), "vector": VECTORS, "size": np.array(["1", "2", "3"])},
            "'size' must be 3 whole numbers",
        ),
    ],
)
def test_npz_arrays_that_can_not_be_used(
    tmp_path: Path, arrays: dict[str, Any], complaint: str
) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(ClipstackError, match=complaint):
        read(tmp_path / "x.npz")


def test_npz_with_offsets_that_lead_nowhere(tmp_path: Path) -> None:
    facts = np.frombuffer(b'{"a":1}', np.uint8)
    for offsets in ([0, 7, 3, 7], [0, 7, 7, 70], [-4, 7, 7, 7]):
        arrays = {"facts": facts, "facts_offsets": np.array(offsets)}
        np.savez(tmp_path / "x.npz", path=np.array(PATHS), vector=VECTORS, **arrays)
        with pytest.raises(ClipstackError, match="not a complete npz file"):
            read(tmp_path / "x.npz")


@pytest.mark.parametrize("ending", ["parquet", "npz"])
def test_rows_go_through_a_file_as_they_are(tmp_path: Path, ending: str) -> None:
    rows = sorted(varied_rows(100), key=lambda row: row.id)
    with exchange_files.create(tmp_path / f"x.{ending}", INFO, 100) as sink:
        sink.write(rows[:33])
        sink.write(rows[33:])
    again, problems = read(tmp_path / f"x.{ending}")
    assert not problems
    assert as_values(again) == as_values(rows)
    with contextlib.closing(exchange_files.open_source(str(tmp_path / f"x.{ending}"))) as source:
        assert (source.info, source.rows, source.dimension) == (INFO, 100, 8)
        assert list(source.unused) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", f"x.{ending}"]


@pytest.mark.parametrize("expected", [0, 7, 10, 10**9])
def test_an_npz_of_more_or_fewer_rows_than_expected(tmp_path: Path, expected: int) -> None:
    rows = varied_rows(10)
    with exchange_files.create(tmp_path / "x.npz", INFO, expected) as sink:
        sink.write(rows)
    assert zipfile.ZipFile(tmp_path / "x.npz").testzip() is None
    with np.load(tmp_path / "x.npz", allow_pickle=False) as arrays:
        assert arrays["vector"].tobytes() == np.stack([row.vector for row in rows]).tobytes()


def test_an_empty_npz_and_parquet(tmp_path: Path) -> None:
    for name in ("x.npz", "x.parquet"):
        with exchange_files.create(tmp_path / name, INFO, 0):
            pass
        assert read(tmp_path / name) == ([], {})


@pytest.fixture(params=["parquet", "npz"])
def whole(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"x.{request.param}"
    with exchange_files.create(path, INFO, 500) as sink:
        sink.write(varied_rows(500))
    return path


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_not_opened(whole: Path, share: float) -> None:
    data = whole.read_bytes()
    whole.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ClipstackError, match="not a complete"):
        exchange_files.open_source(str(whole))


def test_a_changed_byte_is_found(whole: Path) -> None:
    data = bytearray(whole.read_bytes())
    vector = varied_rows(500)[250].vector.tobytes()
    at = data.index(vector)
    data[at] ^= 1
    whole.write_bytes(data)
    with pytest.raises(ClipstackError, match="not a complete"):
        read(whole)


def test_a_file_that_is_something_else(whole: Path) -> None:
    for content in (b"", b"no such thing" * 1000, b"PK\x05\x06" + bytes(18), b"PAR1" * 1000):
        whole.write_bytes(content)
        with pytest.raises(ClipstackError, match=r"not a complete|no array"):
            exchange_files.open_source(str(whole))


@pytest.mark.parametrize(
    "change",
    [
        {"dimension": "8"},
        {"dimension": -8},
        {"metric": "NEAR"},
        {"fingerprint": None},
        {"more": 1},
        {"clipstack": "x"},
    ],
)
def test_a_description_that_is_none(tmp_path: Path, change: dict[str, Any]) -> None:
    with exchange_files.create(tmp_path / "x.parquet", INFO, 1) as sink:
        sink.write(varied_rows(1))
    table = pq.read_table(tmp_path / "x.parquet")
    facts = json.loads(table.schema.metadata[b"clipstack"]) | change
    pq.write_table(
        table.replace_schema_metadata({"clipstack": json.dumps(facts)}), tmp_path / "y.parquet"
    )
    with pytest.raises(ClipstackError, match="model and metric can't be read"):
        exchange_files.open_source(str(tmp_path / "y.parquet"))


def test_a_file_of_a_newer_clipstack(tmp_path: Path) -> None:
    newer = json.dumps({"clipstack": 2, "whatever": 1})
    np.savez(tmp_path / "x.npz", path=np.array(PATHS), vector=VECTORS, clipstack=np.array(newer))
    with pytest.raises(ClipstackError, match="written by a newer clipstack"):
        exchange_files.open_source(str(tmp_path / "x.npz"))


def _write(path: Path, rows: list[Row]) -> None:
    with exchange_files.create(path, INFO, len(rows)) as sink:
        sink.write(varied_rows(5))
        sink.write(rows)


def test_a_file_that_fails_half_way_leaves_what_was_there(whole: Path) -> None:
    before = whole.read_bytes()
    narrow = varied_rows(5)
    narrow[3] = replace(narrow[3], size="no number")  # type: ignore[arg-type]
    with pytest.raises((TypeError, ValueError, pa.ArrowException)):
        _write(whole, narrow)
    assert whole.read_bytes() == before
    assert sorted(path.name for path in whole.parent.iterdir()) == ["here", whole.name]
