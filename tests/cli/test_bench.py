"""`clipstack bench`: what it measures, what it says of it, and that it leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clipstack.bench.report import BenchReport, Stage, StageKind
from tests.models import tiny_clip
from tests.running import MODES, Cli, process

QUICK = ("bench", "--model", "shapes", "--seconds", "0.2")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place of our own for temporary files, to see what stays there."""
    import tempfile

    made = tmp_path / "tmp"
    made.mkdir()
    monkeypatch.setenv("TMPDIR", str(made))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return made


def test_every_stage_of_a_folder(gallery: Path, cli: Cli, temporary: Path, tmp_path: Path) -> None:
    told = cli(*QUICK, gallery, mode="json").json
    assert told["model"] == "shapes"
    assert told["pictures"]["count"] == 40
    assert told["pictures"]["drawn"] is False
    assert told["pictures"]["megapixels"] == pytest.approx(64 * 64 / 1e6, abs=0.001)
    assert [stage["stage"] for stage in told["stages"] if stage["used"]] == list(StageKind)
    assert all(stage["pictures_per_second"] > 0 for stage in told["stages"])
    assert told["searches"][0]["rows"] == 1000
    rates = {s["stage"]: s["pictures_per_second"] for s in told["stages"] if s["used"]}
    assert told["import"]["pictures_per_second"] <= min(rates["decode"], rates["encode"])
    assert told["import"]["holds_back"] in {"decode", "encode", "write"}
    assert list(temporary.iterdir()) == []
    assert not (tmp_path / "data").exists(), "nothing is imported"


def test_the_limit_is_of_the_precision_that_is_used(cli: Cli) -> None:
    from clipstack.encoders.choice import has_openvino

    if not has_openvino():
        pytest.skip("the limit is measured with OpenVINO")
    told = cli(*QUICK, mode="json").json
    limit = told["limit"]
    reached = next(s for s in told["stages"] if s["stage"] == "encode" and s["used"])
    assert reached["what"].split()[1] == limit["precision"]
    assert limit["pictures"] == pytest.approx(limit["per_second"] / limit["operations"])


def test_drawn_pictures_are_said_to_be_drawn(cli: Cli, temporary: Path) -> None:
    ran = cli(*QUICK)
    assert ran.code == 0
    assert "drawn" in ran.err
    assert list(temporary.iterdir()) == []


def test_broken_pictures_are_counted_and_left_out(gallery: Path, cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    good = next(gallery.glob("*.png")).read_bytes()
    (folder / "good.png").write_bytes(good)
    (folder / "cut.png").write_bytes(good[:100])
    (folder / "empty.png").touch()
    pictures = cli(*QUICK, folder, mode="json").json["pictures"]
    assert (pictures["count"], pictures["failed"]) == (1, 2)
    (folder / "good.png").unlink()
    assert "none of the pictures" in cli(*QUICK, folder).err


def test_folders_and_models_that_are_not_there(cli: Cli, tmp_path: Path) -> None:
    assert cli(*QUICK, tmp_path / "nowhere").code == 6
    (tmp_path / "empty").mkdir()
    ran = cli(*QUICK, tmp_path / "empty")
    assert ran.code == 2
    assert "there is no picture" in ran.err
    missing = cli("bench", "--seconds", "0.2")
    assert missing.code == 4
    assert "clipstack models pull" in missing.err


def test_all_measures_pytorch_too(cli: Cli) -> None:
    told = cli(*QUICK, "--all", mode="json").json
    assert "torch fp32" in {stage["what"] for stage in told["stages"]}


def test_another_engine_is_the_one_that_counts(cli: Cli) -> None:
    told = cli(*QUICK, "--engine", "torch", "--device", "cpu", mode="json").json
    used = next(s for s in told["stages"] if s["stage"] == "encode" and s["used"])
    assert used["what"] == "torch fp32"
    assert used["on_cores"], "it wants the cores that decoding wants"
    assert told["limit"] is None


@pytest.mark.parametrize("mode", MODES)
def test_modes(mode: str, cli: Cli, gallery: Path) -> None:
    ran = cli(*QUICK, gallery, mode=mode)
    assert ran.code == 0, ran.err
    expected = {"human": "holds it back", "plain": "search\t1000 rows\t", "json": '"searches"'}
    assert expected.get(mode, "") in (ran.text if mode == "human" else ran.out)
    assert ("\x1b[" in ran.out) == (mode == "human")
    if mode == "quiet":
        assert ran.out.strip() in set(StageKind)
        assert ran.err == ""


def test_ctrl_c_leaves_nothing(temporary: Path, gallery: Path) -> None:
    running = process(*QUICK[:-1], "60", gallery)
    assert running.stderr
    for line in running.stderr:
        if line.startswith("Writing"):
            break
    time.sleep(0.3)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("encode", "on_cores", "expected", "holds_back"),
    [
        # 10 ms to decode and 10 ms to encode on both cores, 2 / 2 ms to write: 21 ms.
        (100.0, True, 1000 / 21, {StageKind.DECODE, StageKind.ENCODE}),
        # A GPU at 20 ms: slower than decoding and writing together.
        (50.0, False, 50.0, {StageKind.ENCODE}),
        # A GPU at 1 ms: the cores, at 11 ms, are what it waits for.
        (1000.0, False, 1000 / 11, {StageKind.DECODE}),
    ],
)
def test_what_an_import_is_expected_to_do(
    encode: float, on_cores: bool, expected: float, holds_back: set[StageKind]
) -> None:
    stages = [
        Stage(StageKind.READ, "", 5000.0),
        Stage(StageKind.DECODE, "", 100.0),
        Stage(StageKind.ENCODE, "", encode, on_cores=on_cores),
        Stage(StageKind.ENCODE, "another engine", 1.0, used=False),
        Stage(StageKind.WRITE, "", 500.0),
    ]
    found = BenchReport("m", 2, "", 1, 0, 1.0, 1.0, stages, [])
    assert found.expected == pytest.approx(expected)
    assert found.holds_back in holds_back
    slow_disk = [Stage(StageKind.READ, "", 2.0), *stages[1:]]
    found = BenchReport("m", 2, "", 1, 0, 1.0, 1.0, slow_disk, [])
    assert found.expected == pytest.approx(2.0)
    assert found.holds_back is StageKind.READ


def test_the_operations_of_a_tower_are_those_of_its_config(tmp_path: Path) -> None:
    """The tiny CLIP: 16 patches of 8 x 8 x 3 and a class token, two layers of 32 and 64; the last
    one computes the class token only, and the others' keys and values."""
    from clipstack.bench import compute_limit
    from clipstack.encoders import choice
    from clipstack.encoders.models.catalog import describe, resolve
    from clipstack.encoders.openvino import export

    if not choice.has_openvino():
        pytest.skip("read from OpenVINO's graph")
    info = describe(resolve(str(tiny_clip(tmp_path / "tiny")), download=False))
    width, inner, tokens = 32, 64, 17
    layer = tokens * (4 * width * width + 2 * width * inner) + 2 * tokens * tokens * width
    patches, projection = 16 * 8 * 8 * 3 * width, width * info.dimension
    last = 2 * (tokens + 1) * width * width + 2 * width * inner + 2 * tokens * width
    wanted = 2 * (patches + layer + last + projection)
    assert compute_limit.operations(export.ensure_export(info) / export.IMAGES, 32, 32) == wanted


def test_help_says_that_nothing_stays(cli: Cli) -> None:
    environment = os.environ | {"COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, "-m", "clipstack", "bench", "--help"],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert "nothing stays behind" in done.stdout
