"""A folder of broken, truncated, hostile and odd files through `clipstack import`."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path

import psutil

from tests.faults.corpus import TOTAL, make_corpus
from tests.running import Cli

MOST_MEMORY = 1_500_000_000


def _run(args: list[str], out: Path, err: Path) -> tuple[int, int]:
    """Exit code and most memory in bytes. `ru_maxrss` would be no less than these tests' own."""
    most = 0
    with out.open("wb") as stdout, err.open("wb") as stderr:
        running = psutil.Popen(args, stdout=stdout, stderr=stderr)
        while running.poll() is None:
            with contextlib.suppress(psutil.Error):
                most = max(most, running.memory_info().rss)
            time.sleep(0.02)
    return running.returncode, most


def test_every_good_file_is_indexed_and_every_other_has_its_reason(
    cli: Cli, tmp_path: Path
) -> None:
    folder = tmp_path / "hostile"
    folder.mkdir()
    good, bad = make_corpus(folder)
    assert len(good) + len(bad) == TOTAL >= 300
    out, err = tmp_path / "out", tmp_path / "err"
    line = [sys.executable, "-m", "clipstack", "import", str(folder), "-m", "shapes", "--json"]
    code, most = _run(line, out, err)
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
    assert 0 < most < MOST_MEMORY


def _passed_over(bad: dict, indexed: set[str], failed: dict) -> int:
    """Pipes, folders and the like, which a scan never offers."""
    rest = [path for path in bad if path not in failed and str(path) not in indexed]
    assert all(not path.is_file() for path in rest), rest
    return len(rest)
