"""Databases with synthetic rows."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import common
import numpy as np
import synthetic
from synthetic import Picture

if TYPE_CHECKING:
    from clipstack.encoders.base import ModelInfo
    from clipstack.index.local.collection import LocalCollection

BATCH_ROWS = 5000
"""Rows written by one call."""
_STAMP_FILE = "filled.txt"


@contextlib.contextmanager
def open_collection(
    data: Path, info: ModelInfo, *, collection: str = "images", empty: bool = True
) -> Iterator[LocalCollection]:
    """The collection in the database of a `clipstack` whose data folder is `data`.

    Args:
        empty: create the collection; otherwise it exists.
    """
    from clipstack.index.local.index import LocalIndex

    data.mkdir(parents=True, exist_ok=True)
    with LocalIndex(data / "clipstack.db", wait=30, create=empty) as index:
        if empty:
            index.create(collection, info, "COSINE")
        yield index.collection(collection)


@contextlib.contextmanager
def temporary(work: Path, info: ModelInfo) -> Iterator[LocalCollection]:
    """A collection in a temporary database."""
    with (
        tempfile.TemporaryDirectory(dir=work) as data,
        open_collection(Path(data), info) as collection,
    ):
        yield collection


def write(
    collection: LocalCollection,
    pictures: Sequence[Picture],
    vectors: np.ndarray,
    files: Sequence[Path] = (),
) -> float:
    """Write a row for each picture; returns the seconds it took.

    Args:
        files: paths for the rows, used in turn, in place of the pictures' own.
    """
    from clipstack.index.schema import Row, row_id

    rows = []
    for number, (picture, vector) in enumerate(zip(pictures, vectors, strict=True)):
        fields = picture.fields()
        if files:
            fields["path"] = str(files[number % len(files)])
        rows.append(Row(id=row_id(picture.path), vector=vector, **fields))
    started = time.perf_counter()
    for at in range(0, len(rows), BATCH_ROWS):
        collection.upsert(rows[at : at + BATCH_ROWS], new=True)
    return time.perf_counter() - started


def fill(
    collection: LocalCollection,
    start: int,
    end: int,
    folder: Path | str,
    originals: Path | None = None,
) -> float:
    """Write the pictures from `start` to before `end`; returns the seconds it took."""
    dimension = collection.info.dimension
    blocks = synthetic.blocks(start, end, dimension, folder, originals)
    return sum(write(collection, pictures, vectors) for pictures, vectors in blocks)


def cached_database(work: Path, info: ModelInfo, count: int) -> Path:
    """A data folder with `count` rows, written once and reused; callers that write use a copy."""
    data = work / f"rows-{count}"
    stamp = data / _STAMP_FILE
    version = _version(info)
    if stamp.is_file() and stamp.read_text() == version:
        return data
    common.say(f"Writing {count:,} rows")
    shutil.rmtree(data, ignore_errors=True)
    with open_collection(data, info) as collection:
        fill(collection, 0, count, "/pictures")
        assert collection.count() == count
    stamp.write_text(version)
    return data


def _version(info: ModelInfo) -> str:
    """A hash of what a filled database depends on."""
    sources = sorted((common.ROOT / "clipstack" / "index" / "local").glob("*.py"))
    digest = hashlib.sha256(info.fingerprint.encode())
    for source in (*sources, common.HERE / "synthetic.py"):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def model_info(model: Path, env: dict[str, str]) -> ModelInfo:
    """Description of the model in a folder; adds `env` to this process's environment."""
    os.environ.update(env)
    from clipstack.encoders.models.catalog import describe, resolve

    return describe(resolve(str(model), download=False))


def search_seconds(
    collection: LocalCollection, queries: np.ndarray
) -> tuple[list[float], list[list[str]]]:
    """The seconds of a search for each query, and the paths of its ten hits, after one search that
    brings the file into memory."""
    collection.search(queries[:1], limit=10)
    times, paths = [], []
    for query in queries:
        started = time.perf_counter()
        hits = collection.search(query[None], limit=10)[0]
        times.append(time.perf_counter() - started)
        paths.append([hit.path for hit in hits])
    return times, paths


def bytes_of(folder: Path) -> int:
    """Bytes on the disk of all files in a folder."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
