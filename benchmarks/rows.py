"""A number and a dimension in, databases that hold as many made-up rows, out."""

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
import made
import numpy as np
from made import Picture

if TYPE_CHECKING:
    from clipstack.encoders.base import ModelInfo
    from clipstack.index.local.collection import LocalCollection

AT_ONCE = 5000
"""Rows written by one call."""
_FILLED = "filled.txt"


@contextlib.contextmanager
def opened(
    data: Path, info: ModelInfo, *, collection: str = "images", empty: bool = True
) -> Iterator[LocalCollection]:
    """The collection in the database of a `clipstack` whose data folder is `data`.

    Args:
        empty: it is made anew; otherwise it is there.
    """
    from clipstack.index.local.index import LocalIndex

    data.mkdir(parents=True, exist_ok=True)
    with LocalIndex(data / "clipstack.db", wait=30, create=empty) as index:
        if empty:
            index.create(collection, info, "COSINE")
        yield index.collection(collection)


@contextlib.contextmanager
def throw_away(work: Path, info: ModelInfo) -> Iterator[LocalCollection]:
    """A collection that is gone afterwards."""
    with tempfile.TemporaryDirectory(dir=work) as data, opened(Path(data), info) as collection:
        yield collection


def write(
    collection: LocalCollection,
    pictures: Sequence[Picture],
    vectors: np.ndarray,
    files: Sequence[Path] = (),
) -> float:
    """Write a row for each picture; returns the seconds it took.

    Args:
        files: the rows are of these in turn, in place of the pictures' own paths.
    """
    from clipstack.index.schema import Row, row_id

    rows = []
    for number, (picture, vector) in enumerate(zip(pictures, vectors, strict=True)):
        fields = picture.fields()
        if files:
            fields["path"] = str(files[number % len(files)])
        rows.append(Row(id=row_id(picture.path), vector=vector, **fields))
    started = time.perf_counter()
    for at in range(0, len(rows), AT_ONCE):
        collection.upsert(rows[at : at + AT_ONCE], new=True)
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
    blocks = made.blocks(start, end, dimension, folder, originals)
    return sum(write(collection, pictures, vectors) for pictures, vectors in blocks)


def kept(work: Path, info: ModelInfo, count: int) -> Path:
    """The data folder of a `clipstack` with `count` rows, made once and kept for the next time.

    Whoever changes it works on a copy.
    """
    data = work / f"rows-{count}"
    mark = data / _FILLED
    wanted = _version(info)
    if mark.is_file() and mark.read_text() == wanted:
        return data
    common.say(f"Writing {count:,} rows")
    shutil.rmtree(data, ignore_errors=True)
    with opened(data, info) as collection:
        fill(collection, 0, count, "/pictures")
        assert collection.count() == count
    mark.write_text(wanted)
    return data


def _version(info: ModelInfo) -> str:
    """Names what a filled database depends on."""
    sources = sorted((common.ROOT / "clipstack" / "index" / "local").glob("*.py"))
    digest = hashlib.sha256(info.fingerprint.encode())
    for source in (*sources, common.HERE / "made.py"):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def model_info(model: Path, env: dict[str, str]) -> ModelInfo:
    """What is known of the model in a folder; `env` holds for this process from now on."""
    os.environ.update(env)
    from clipstack.encoders.models.catalog import describe, resolve

    return describe(resolve(str(model), download=False))


def search_seconds(
    collection: LocalCollection, queries: np.ndarray
) -> tuple[list[float], list[list[str]]]:
    """The seconds of a search for each query, and the paths of its ten hits; one search goes
    before, so that the file is in memory."""
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
