"""No file, however broken or hostile, costs much memory or time, or ends in another error."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from clipstack.errors import ImageError, Reason
from tests.faults.corpus import TOTAL, make_corpus

DECODE_ALL = """
import json, sys, time
from clipstack.errors import ImageError
from clipstack.images.decode import decode, read_file
from clipstack.images.geometry import Geometry

geometries = [Geometry("shortest", (224, 224), (224, 224), 3), Geometry("exact", (64, 64), None, 2)]
for path in sys.stdin.read().split("\\0"):
    began = time.perf_counter()
    for geometry in [*geometries, None]:
        try:
            picture = decode(read_file(path), geometry, path=path)
            outcome = "decoded"
            assert geometry is None or picture.pixels.shape == (*geometry.shape, 3)
        except ImageError as error:
            assert error.path == path, (error.path, path)
            outcome = str(error.reason)
        except BaseException as error:
            outcome = repr(error)
    seconds = time.perf_counter() - began
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    peak = int(status["VmHWM"].split()[0]) * 1024  # ru_maxrss would be that of whoever started it
    print(json.dumps([path, outcome, seconds, peak]), flush=True)
"""

MOST_MEMORY = 1_000_000_000
MOST_SECONDS = 10


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def outcomes(corpus) -> dict[Path, str]:
    """What became of every file, decoded in a process of its own."""
    good, bad = corpus
    paths = "\0".join(map(str, [*good, *bad]))
    done = subprocess.run(
        [sys.executable, "-c", DECODE_ALL], input=paths, capture_output=True, text=True, timeout=600
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"it died after {lines[-1:]}: {done.stderr}"
    assert done.stderr == ""
    slow = [(path, seconds) for path, _, seconds, _ in lines if seconds > MOST_SECONDS]
    assert not slow
    greedy = next(((path, peak) for path, _, _, peak in lines if peak > MOST_MEMORY), None)
    assert greedy is None
    return {Path(path): outcome for path, outcome, _, _ in lines}


def test_the_corpus_is_large_and_the_same_every_time(corpus, tmp_path):
    good, bad = corpus
    assert len(good) + len(bad) == TOTAL
    assert not set(good) & set(bad)
    again, worse = make_corpus(tmp_path / "again")
    assert [p.name for p in again] == [p.name for p in good]
    assert [p.name for p in worse] == [p.name for p in bad]
    for path, other in zip([*good, *bad], [*again, *worse], strict=True):
        if path.is_file():
            assert path.read_bytes() == other.read_bytes()


def test_every_file_is_decoded_or_refused_with_a_reason(outcomes):
    strange = {
        path.name: outcome
        for path, outcome in outcomes.items()
        if outcome != "decoded" and outcome not in list(Reason)
    }
    assert not strange
    assert len(outcomes) == TOTAL


def test_the_good_ones_are_decoded(corpus, outcomes):
    refused = {path.name: outcomes[path] for path in corpus[0] if outcomes[path] != "decoded"}
    assert not refused


def test_the_bad_ones_are_refused_for_the_right_reason(corpus, outcomes):
    wrong = {
        path.name: outcomes[path]
        for path, reason in corpus[1].items()
        if reason is not None and outcomes[path] != reason
    }
    assert not wrong


def test_most_of_the_rest_is_refused(corpus, outcomes):
    rest = [path for path, reason in corpus[1].items() if reason is None]
    refused = [path for path in rest if outcomes[path] != "decoded"]
    assert len(refused) > len(rest) / 2


def test_an_image_error_survives_the_way_between_processes():
    import pickle

    error = pickle.loads(pickle.dumps(ImageError("a/b.jpg", Reason.TRUNCATED, "cut")))
    assert (error.path, error.reason, error.detail) == ("a/b.jpg", Reason.TRUNCATED, "cut")
