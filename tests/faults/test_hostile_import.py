"""A folder of broken, truncated, hostile and odd files through `clipstack import`."""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path

from tests.faults.corpus import TOTAL, make_corpus
from tests.running import Cli

MOST_MEMORY = 1_500_000_000


def _run(args: list[str], out: Path, err: Path) -> tuple[int, resource.struct_rusage]:
    with out.open("wb") as stdout, err.open("wb") as stderr:
        actions = [(os.POSIX_SPAWN_DUP2, stdout.fileno(), 1)]
        actions += [(os.POSIX_SPAWN_DUP2, stderr.fileno(), 2)]
        pid = os.posix_spawn(sys.executable, args, os.environ, file_actions=actions)
    _, status, usage = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status), usage


def test_every_good_file_is_indexed_and_every_other_has_its_reason(
    cli: Cli, tmp_path: Path
) -> None:
    folder = tmp_path / "hostile"
    folder.mkdir()
    good, bad = make_corpus(folder)
    assert len(good) + len(bad) == TOTAL >= 300
    out, err = tmp_path / "out", tmp_path / "err"
    line = [sys.executable, "-m", "clipstack", "import", str(folder), "-m", "shapes", "--json"]
    code, usage = _run(line, out, err)
    assert code == 7, err.read_text()
    assert err.read_text().count("\n") == 2, "only the target and what to do next"
    summary = json.loads(out.read_text())
    failed = {Path(one["path"]): one["reason"] for one in summary["failures"]}
    assert not failed.keys() & set(good)
    indexed = set(cli("search", "red", "-k", str(TOTAL), mode="quiet").out.splitlines())
    assert {str(path) for path in good} <= indexed
    for path, reason in bad.items():
        if reason is not None and path in failed:
            assert failed[path] == reason, path
        if reason is not None:
            assert str(path) not in indexed
    assert len(indexed) + len(failed) + _passed_over(bad, indexed, failed) == TOTAL
    assert usage.ru_maxrss * 1024 < MOST_MEMORY


def _passed_over(bad: dict, indexed: set[str], failed: dict) -> int:
    """Pipes, folders and the like, which a scan never offers."""
    rest = [path for path in bad if path not in failed and str(path) not in indexed]
    assert all(not path.is_file() for path in rest), rest
    return len(rest)
