"""Systems that store and search rows: this clipstack, an older one on Milvus Lite, and rclip; each
is filled with the same synthetic pictures and runs the same commands as whole processes."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import common
import databases
import photos
import synthetic
from common import Ran, Unavailable
from indexing import RCLIP, rclip_home, rclip_python

LINKED_FILES = 1_000_000
"""Pictures that have files; rows beyond have only paths."""

Command = Callable[[float], Ran]
"""Runs a command, given the seconds between two samples of its memory."""

COMMANDS = {
    "search": '`search "a dog"`',
    "since": "the same with `--since 2024`: 18 % of the rows",
    "camera": "with `--camera canon`: half of them",
    "width": "with `--min-width 4050`: half of them",
    "tag": "with `--tag holiday`: a tenth of them",
    "auto": "with `--min-score auto`",
    "list": "`collections list`",
    "one": "`import` of one new picture",
    "empty": "the same into an empty collection",
    "unchanged": "`import` of as many files, all unchanged",
}
_OPTIONS = {
    "search": [],
    "since": ["--since", "2024"],
    "camera": ["--camera", "canon"],
    "width": ["--min-width", "4050"],
    "tag": ["--tag", "holiday"],
    "auto": ["--min-score", "auto"],
}


class Shared:
    """What the systems share: the model, and the files of their rows.

    Args:
        limit: seconds after which a command is ended.
    """

    def __init__(self, work: Path, model: Path, limit: float) -> None:
        self.work = work
        self.model = model
        self.limit = limit
        self.folder = work / "scale"
        self.files = self.folder / "files"
        self.originals = work / "photos" / "originals"
        self._linked = 0
        self._pictures = itertools.count()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.files.mkdir(parents=True)
        photos.make(self.originals, LINKED_FILES // synthetic.BLOCK, (128, 96))

    def link(self, count: int) -> None:
        """Create files for the first `count` pictures, or for as many as possible."""
        count = min(count, LINKED_FILES)
        originals = [
            synthetic.original(self.originals, block)
            for block in range(LINKED_FILES // synthetic.BLOCK)
        ]
        synthetic.link(originals, self.files, self._linked, count)
        self._linked = count

    def new_picture(self) -> Path:
        """A folder with one new picture."""
        number = next(self._pictures)
        base = photos.make(self.work / "photos" / "query", 1, (500, 375))[0]
        folder = self.folder / "new" / f"{number:06d}"
        folder.mkdir(parents=True)
        (folder / "photo.jpg").write_bytes(base.read_bytes() + number.to_bytes(8, "big"))
        return folder

    def run(
        self, line: list[object], every: float, env: dict[str, str], cwd: Path | None = None
    ) -> Ran:
        return common.run(line, env=env, cwd=cwd, every=every, limit=self.limit)


class System(Protocol):
    """A system that is measured.

    Attributes:
        name: as the table has it.
        data: the folder with its rows.
    """

    name: str
    data: Path

    def grow(self, start: int, end: int) -> float:
        """Write the pictures from `start` to before `end`; returns the seconds it took.

        Raises:
            Unavailable: it can't be filled.
        """
        ...

    def commands(self, count: int) -> dict[str, Command]:
        """Its commands, by their keys in COMMANDS, on `count` rows."""
        ...


class _ClipstackSystem:
    """The command line of a clipstack, on its own data.

    Args:
        python: that runs it; root: its source tree; cache: the name of its cache's folder.
    """

    def __init__(self, shared: Shared, key: str, python: Path, root: Path, cache: str) -> None:
        self.shared = shared
        self.data = shared.folder / key
        self._python = python
        self._root = root
        self._cache = cache

    def environment(self, data: Path) -> dict[str, str]:
        return common.own_environment(self.shared.work, data, root=self._root, cache=self._cache)

    def make_empty(self, data: Path) -> None:
        raise NotImplementedError

    def commands(self, count: int) -> dict[str, Command]:
        commands: dict[str, Command] = {
            key: self._search(options) for key, options in _OPTIONS.items()
        }
        commands["list"] = lambda every: self._command(every, "collections", "list")
        commands["one"] = lambda every: self._import(
            every, self.data, self.shared.new_picture(), "new", 1
        )
        commands["empty"] = self._import_first
        if count <= LINKED_FILES:
            commands["unchanged"] = lambda every: self._import(
                every, self.data, self.shared.files, "unchanged", count
            )
        return commands

    def _command(self, every: float, *args: object, data: Path | None = None) -> Ran:
        line = [self._python, "-m", "clipstack", *args]
        # From its own folder: `-m` takes the package in the current one first.
        return self.shared.run(line, every, self.environment(data or self.data), self._root)

    def _search(self, options: list[str]) -> Command:
        return lambda every: self._command(every, "search", "a dog", "-k", "10", "-q", *options)

    def _import(self, every: float, data: Path, folder: Path, outcome: str, count: int) -> Ran:
        line = ["import", folder, "--model", self.shared.model, "--json"]
        ran = self._command(every, *line, data=data)
        if ran.json["counts"].get(outcome) != count:
            raise Unavailable(f"imported {ran.json['counts']}, not {count} {outcome}")
        return ran

    def _import_first(self, every: float) -> Ran:
        data = self.data.with_name(f"{self.data.name}-empty")
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir()
        self.make_empty(data)
        return self._import(every, data, self.shared.new_picture(), "new", 1)


class Local(_ClipstackSystem):
    """This clipstack's embedded index."""

    name = "SQLite and a mapped file"

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared, "local", Path(sys.executable), common.ROOT, "cache")
        self._info = databases.model_info(shared.model, self.environment(self.data))

    def grow(self, start: int, end: int) -> float:
        shared = self.shared
        with databases.open_collection(self.data, self._info, empty=start == 0) as collection:
            return databases.fill(collection, start, end, shared.files, shared.originals)

    def make_empty(self, data: Path) -> None:
        with databases.open_collection(data, self._info):
            pass


class MilvusLite(_ClipstackSystem):
    """The embedded index of a clipstack on Milvus Lite.

    Args:
        root: a checkout of one, with its environment in `.venv`.
    """

    name = "Milvus Lite 2.5.1"

    def __init__(self, shared: Shared, root: Path) -> None:
        root = root.absolute()
        super().__init__(shared, "milvus-lite", root / ".venv/bin/python", root, "cache-old")

    def grow(self, start: int, end: int) -> float:
        return self._fill(self.data, start, end)

    def make_empty(self, data: Path) -> None:
        self._fill(data, 0, 0)

    def _fill(self, data: Path, start: int, end: int) -> float:
        data.mkdir(exist_ok=True)
        shared = self.shared
        line = [self._python, common.PEERS / "fill_milvus_lite.py", data / "clipstack.db"]
        line += [shared.model, databases.BATCH_ROWS, start, end, shared.files, shared.originals]
        return float(common.run(line, env=self.environment(data)).json["seconds"])


class Rclip:
    """rclip with the same model and the same files. It indexes and searches the folder it is
    called in, always both unless it is told not to index; it has no filters and no collections.

    Raises:
        Unavailable: it is not installed.
    """

    name = RCLIP

    def __init__(self, shared: Shared, dimension: int) -> None:
        self._python = rclip_python(shared.work)
        self._model = rclip_home(shared.work, shared.model, 224)
        self._shared = shared
        self._dimension = dimension
        self.data = shared.folder / "rclip"
        self._lay_out(self.data)

    def grow(self, start: int, end: int) -> float:
        shared = self._shared
        line = [self._python, common.PEERS / "fill_rclip.py", self.data / "db.sqlite3"]
        line += [start, end, self._dimension, shared.files, shared.originals]
        return float(common.run(line).json["seconds"])

    def commands(self, count: int) -> dict[str, Command]:
        shared = self._shared
        commands: dict[str, Command] = {
            "search": lambda every: self._run(every, self.data, shared.files, "-n"),
            "one": lambda every: self._run(every, self.data, shared.new_picture()),
            "empty": self._index_first,
        }
        if count <= LINKED_FILES:
            commands["unchanged"] = lambda every: self._run(every, self.data, shared.files)
        return commands

    def _run(self, every: float, home: Path, cwd: Path, *options: str) -> Ran:
        line = [self._python, common.PEERS / "run_rclip.py", 224, *options, "-f", "-t", "10"]
        env = os.environ | {"RCLIP_DATADIR": str(home)}
        return self._shared.run([*line, "a dog"], every, env, cwd)

    def _index_first(self, every: float) -> Ran:
        home = self.data.with_name("rclip-empty")
        shutil.rmtree(home, ignore_errors=True)
        self._lay_out(home)
        return self._run(every, home, self._shared.new_picture())

    def _lay_out(self, home: Path) -> None:
        """A data folder of rclip's without a database."""
        home.mkdir()
        for file in self._model.iterdir():
            if not file.name.startswith("db.sqlite3"):
                (home / file.name).symlink_to(file)
