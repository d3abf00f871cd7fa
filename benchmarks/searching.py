"""Searching: a first search from the command line, and searches once everything is in memory.

    python benchmarks/searching.py [--quick] [--rounds 9]

Cold: from the start of the process to its end, by words and by a picture, clipstack and rclip in
turn on the same rows with the same ViT-B/32. Warm: clipstack's index in one process, beside FAISS.
`scale.py` has the figures of more rows. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import common
import databases
import numpy as np
import photos
import synthetic
from common import Ran, Unavailable, say
from indexing import RCLIP, rclip_home, rclip_python

DIMENSION = 512


class Cold:
    """Both databases with the same rows, and the ways to search them."""

    def __init__(self, asked: argparse.Namespace, count: int) -> None:
        self.work: Path = asked.work
        self.model = common.model(asked)
        self.count = count
        self.folder = self.work / "rows"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.picture = photos.make(self.work / "photos" / "query", 1, (500, 375))[0]
        self.data = self.work / "search-data"
        self.env = common.own_environment(self.work, self.data)
        self._fill_clipstack()

    def _fill_clipstack(self) -> None:
        shutil.rmtree(self.data, ignore_errors=True)
        info = databases.model_info(self.model, self.env)
        say(f"Writing {self.count} rows")
        with databases.open_collection(self.data, info) as collection:
            databases.fill(collection, 0, self.count, self.folder)

    def fill_rclip(self) -> Path:
        """rclip's database with the same rows, by its own code.

        Raises:
            Unavailable: it is not to be had.
        """
        home = rclip_home(self.work, self.model, 224)
        python = rclip_python(self.work)
        database = home / "db.sqlite3"
        database.unlink(missing_ok=True)
        script = common.PEERS / "fill_rclip.py"
        common.run([python, script, database, 0, self.count, DIMENSION, self.folder])
        return home

    def clipstack(self, *query: object) -> Ran:
        return common.run(common.clipstack("search", *query, "-k", "10", "-q"), env=self.env)

    def rclip(self, home: Path, query: object) -> Ran:
        python = rclip_python(self.work)
        line = [python, common.PEERS / "run_rclip.py", 224, "-n", "-f", "-t", "10", query]
        return common.run(line, env=os.environ | {"RCLIP_DATADIR": str(home)}, cwd=self.folder)


def cold(asked: argparse.Namespace, count: int, rounds: int) -> None:
    """Prints the table of first searches."""
    bench = Cold(asked, count)
    ways: dict[str, Callable[[], Ran]] = {
        "`clipstack search a dog`": lambda: bench.clipstack("a dog"),
        "`clipstack search --image FILE`": lambda: bench.clipstack("--image", bench.picture),
    }
    problem = ""
    try:
        home = bench.fill_rclip()
        ways[f"{RCLIP}, `a dog`"] = lambda: bench.rclip(home, "a dog")
        ways[f"{RCLIP}, a picture"] = lambda: bench.rclip(home, bench.picture)
    except Unavailable as error:
        problem = str(error)
    found: dict[str, list[Ran]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        say(f"Cold searches, round {number} of {rounds}")
        for name, way in ways.items():
            ran = way()
            if number:  # the first one fills the disk's cache
                found[name].append(ran)
    shown = []
    for name, runs in found.items():
        times = [run.seconds for run in runs]
        peak = common.megabytes(max(run.peak for run in runs))
        shown.append([name, f"{common.middle(times):.2f} s", common.spread(times, "s", 2), peak])
    if problem:
        shown.append([RCLIP, "not run", problem, ""])
    print(common.table([f"cold, {count:,} rows", "median", "from, to", "peak memory"], shown))
    if not problem:
        names = list(ways)
        for kind, ours, theirs in (("words", 0, 2), ("the picture", 1, 3)):
            hits = [set(found[names[at]][0].out.splitlines()) for at in (ours, theirs)]
            print(f"\nBy {kind}, {len(hits[0] & hits[1])} of the ten hits are in both answers.")
        for ours, theirs in ((0, 2), (1, 3)):
            pairs = zip(found[names[ours]], found[names[theirs]], strict=True)
            ratio = common.middle([one.seconds / other.seconds for one, other in pairs])
            print(f"{names[ours]} takes {ratio:.2f} of the time of {names[theirs]}.")
    print()


def warm(asked: argparse.Namespace, sizes: list[int], queries: int) -> None:
    """Prints the table of searches with everything in memory."""
    info = databases.model_info(
        common.model(asked), common.own_environment(asked.work, asked.work / "data")
    )
    questions = synthetic.vectors(queries, DIMENSION, seed=5)
    shown = []
    for size in sizes:
        say(f"Warm searches among {size} rows")
        blocks = [vectors for _, vectors in synthetic.blocks(0, size, DIMENSION, "/pictures")]
        found = np.concatenate(blocks)
        exact = np.argsort(-(questions @ found.T), axis=1)[:, :10]
        with databases.temporary(asked.work, info) as collection:
            written = databases.fill(collection, 0, size, "/pictures")
            times, hits = databases.search_seconds(collection, questions)
        paths = [[synthetic.path_of("/pictures", at) for at in row] for row in exact]
        line = f"{1000 * common.middle(times):.2f} ms"
        shown.append(
            [f"{size:,}", "clipstack, exact", line, _recall(hits, paths), f"{written:.1f} s"]
        )
        shown += _faiss(asked.work, found, questions, exact)
    print(common.table(["rows", "index", "median", "recall@10", "to write or build"], shown))
    print(f"\n{queries} queries, one at a time, for ten hits; {DIMENSION} numbers a vector.")
    print("clipstack also gives the path and the facts of each hit; FAISS gives numbers only.\n")


def _faiss(
    work: Path, found: np.ndarray, questions: np.ndarray, exact: np.ndarray
) -> list[list[str]]:
    files = [work / "vectors.npy", work / "queries.npy"]
    try:
        for file, values in zip(files, (found, questions), strict=True):
            np.save(file, values)
        python = common.peer_python("faiss", work)
        ran = common.run([python, common.PEERS / "run_faiss.py", *files])
    except Unavailable as error:
        return [[f"{len(found):,}", "FAISS", "not run", str(error), ""]]
    finally:
        for file in files:
            file.unlink(missing_ok=True)
    told = json.loads(ran.out)
    names = {"flat": "FAISS flat", "hnsw": "FAISS HNSW, M 32, efSearch 64"}
    return [
        [
            f"{len(found):,}",
            name,
            f"{told[key]['ms']:.2f} ms",
            _recall(told[key]["hits"], exact.tolist()),
            f"{told[key]['built']:.1f} s",
        ]
        for key, name in names.items()
    ]


def _recall(found: list[list], wanted: list[list]) -> str:
    parts = [len(set(one) & set(other)) / 10 for one, other in zip(found, wanted, strict=True)]
    return f"{sum(parts) / len(parts):.3f}"


def main() -> None:
    asked = common.options(__doc__).parse_args()
    rounds = asked.rounds or (2 if asked.quick else 9)
    print(common.machine() + "\n")
    cold(asked, 2000 if asked.quick else 20_000, rounds)
    warm(
        asked, [1000, 5000] if asked.quick else [1000, 20_000, 200_000], 30 if asked.quick else 100
    )


if __name__ == "__main__":
    main()
