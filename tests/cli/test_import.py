"""`clipstack import`: what is taken, skipped, reused and refused."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import Cli, process, wait_for_rows

SHAPES = ("--model", "shapes")


@pytest.fixture
def folder(gallery: Path, tmp_path: Path) -> Path:
    """Ten pictures of one's own to change."""
    made = tmp_path / "pictures"
    made.mkdir()
    for picture in sorted(gallery.glob("*.png"))[:10]:
        shutil.copy2(picture, made)
    return made


def _counts(ran) -> tuple[int, int, int, int]:
    counts = ran.json["counts"]
    return counts["new"], counts["unchanged"], counts["changed"], counts["failed"]


def test_again_imports_nothing_and_loads_no_model(folder: Path, cli: Cli) -> None:
    first = cli("import", folder, *SHAPES, mode="json")
    assert _counts(first) == (10, 0, 0, 0)
    assert first.json["encoded"] == 10
    program = (
        "import sys\nfrom clipstack.cli.app import run\n"
        f"code = run(['import', {str(folder)!r}, '--json'])\n"
        "assert not {'torch', 'transformers'} & set(sys.modules), 'loaded a model'\n"
        "sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert '"unchanged": 10' in done.stdout
    assert '"encoded": 0' in done.stdout


def test_changed_files_are_encoded_again_and_touched_ones_are_not(folder: Path, cli: Cli) -> None:
    cli("import", folder, *SHAPES)
    first, second, *_ = sorted(folder.iterdir())
    os.utime(first)
    shutil.copyfile(sorted(folder.iterdir())[-1], second)
    ran = cli("import", folder, mode="json")
    assert _counts(ran) == (0, 9, 1, 0)
    assert ran.json["encoded"] == 0, "the changed one has the bytes of another now"
    assert cli("collections", "show", "images", mode="json").json["rows"] == 10
    hits = cli("search", "--image", second, "-k", "2", mode="json").json["hits"]
    assert [hit["score"] > 0.99999 for hit in hits] == [True, True]
    assert _counts(cli("import", folder, mode="json")) == (0, 10, 0, 0)


def test_a_copy_elsewhere_costs_no_encoding(folder: Path, cli: Cli, tmp_path: Path) -> None:
    cli("import", folder, *SHAPES)
    shutil.copytree(folder, tmp_path / "backup")
    ran = cli("import", tmp_path / "backup", mode="json")
    assert _counts(ran) == (10, 0, 0, 0)
    assert ran.json["encoded"] == 0
    assert cli("collections", "show", "images", mode="json").json["rows"] == 20


def test_copies_within_one_import_are_encoded_once(folder: Path, cli: Cli) -> None:
    for picture in sorted(folder.iterdir()):
        for number in range(4):
            shutil.copy(picture, folder / f"{number}-{picture.name}")
    ran = cli("import", folder, *SHAPES, "--batch-size", "3", mode="json")
    assert _counts(ran) == (50, 0, 0, 0)
    assert ran.json["encoded"] == 10


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_the_batch_size_changes_nothing(folder: Path, cli: Cli, batch_size: int) -> None:
    ran = cli("import", folder, *SHAPES, "--batch-size", batch_size, mode="json")
    assert _counts(ran) == (10, 0, 0, 0)
    for picture in folder.iterdir():
        hit = cli("search", "-i", picture, "-k", "1", mode="json").json["hits"][0]
        assert hit["path"] == str(picture)
        assert hit["score"] > 0.99999


def test_dry_run_changes_nothing(folder: Path, cli: Cli, tmp_path: Path) -> None:
    ran = cli("import", folder, "--dry-run", mode="json")
    assert _counts(ran) == (10, 0, 0, 0)
    assert not (tmp_path / "data").exists()
    cli("import", folder, *SHAPES)
    (folder / "new.png").write_bytes(next(folder.iterdir()).read_bytes())
    assert _counts(cli("import", folder, "--dry-run", mode="json")) == (1, 10, 0, 0)
    assert cli("collections", "show", "images", mode="json").json["rows"] == 10


def test_failures_are_listed_and_the_rest_is_imported(folder: Path, cli: Cli) -> None:
    (folder / "empty.jpg").touch()
    (folder / "words.png").write_text("these are words")
    whole = next(folder.glob("*.png")).read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    ran = cli("import", folder, *SHAPES, mode="json")
    assert ran.code == 7
    assert _counts(ran) == (10, 0, 0, 3)
    reasons = {Path(f["path"]).name: f["reason"] for f in ran.json["failures"]}
    assert reasons == {"empty.jpg": "empty", "words.png": "unsupported", "cut.png": "truncated"}
    plain = cli("import", folder)
    assert plain.code == 7
    assert f"failed\tempty\t{folder / 'empty.jpg'}\t" in plain.out
    quiet = cli("import", folder, mode="quiet")
    assert sorted(Path(path).name for path in quiet.out.splitlines()) == sorted(reasons)


def test_fail_fast_stops_at_the_first(folder: Path, cli: Cli) -> None:
    for number in range(50):
        (folder / f"0-{number:02}.jpg").touch()
    ran = cli("import", folder, *SHAPES, "--fail-fast", mode="json")
    assert ran.code == 7
    assert _counts(ran)[3] == 1


def test_no_recursive(gallery: Path, cli: Cli) -> None:
    assert _counts(cli("import", gallery, *SHAPES, "--no-recursive", mode="json")) == (30, 0, 0, 0)


def test_a_list_on_stdin(folder: Path, cli: Cli) -> None:
    three = sorted(folder.iterdir())[:3]
    listed = b"\0".join(os.fsencode(path) for path in three)
    assert _counts(cli("import", "-", *SHAPES, mode="json", stdin=listed)) == (3, 0, 0, 0)


def test_limits_can_be_set(folder: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = cli("import", folder, *SHAPES, "--max-pixels", "100", mode="json")
    assert ran.json["failed_by_reason"] == {"too large": 10}
    monkeypatch.setenv("CLIPSTACK_MAX_BYTES", "10")
    ran = cli("import", folder, *SHAPES, mode="json")
    assert ran.json["failed_by_reason"] == {"too large": 10}


def test_odd_names(folder: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ['quo"te.png', "back\\slash.png", "[red]x[bold].png", "new\nline.png", "émoji 😀.png"]
    whole = next(folder.iterdir()).read_bytes()
    for name in names:
        (folder / name).write_bytes(whole + name.encode())
    ran = cli("import", folder, *SHAPES, mode="json")
    assert _counts(ran) == (15, 0, 0, 0), ran.json["failures"]
    found = cli("search", "star", "-k", "15", "-0").out.split("\0")
    assert {str(folder / name) for name in names} < set(found)
    monkeypatch.setenv("COLUMNS", "400")
    assert "[red]x[bold].png" in cli("search", "star", "-k", "15", mode="human").text
    assert _counts(cli("import", folder, mode="json")) == (0, 15, 0, 0)


def test_a_missing_folder(cli: Cli, tmp_path: Path) -> None:
    ran = cli("import", tmp_path / "nowhere", *SHAPES)
    assert ran.code == 6
    assert "nowhere" in ran.err


def test_another_models_vectors_are_refused(folder: Path, cli: Cli, tmp_path: Path) -> None:
    import json

    from clipstack.encoders.models import catalog

    other = tmp_path / "other"
    shutil.copytree(catalog.resolve("shapes", download=False).path, other)
    rules = json.loads((other / "preprocessor_config.json").read_text())
    rules["image_mean"] = [0.1, 0.2, 0.3]
    (other / "preprocessor_config.json").write_text(json.dumps(rules))
    cli("import", folder, *SHAPES)
    ran = cli("import", folder, "--model", other)
    assert ran.code == 1
    assert "holds vectors of the model 'shapes'" in ran.err
    assert "--collection" in ran.err
    refused = cli("search", "star", "--model", other, mode="json")
    assert refused.json["error"]["message"] in ran.err
    assert cli("import", folder, "--model", other, "-c", "second").code == 0
    assert "L2" in cli("import", folder, "-m", "shapes", "--metric", "L2").err


def test_no_model_no_network(folder: Path, cli: Cli) -> None:
    ran = cli("import", folder)
    assert ran.code == 4
    assert "openai/clip-vit-base-patch32" in ran.err
    for way_out in ("models pull", "--model /path", "--model shapes"):
        assert way_out in ran.err
    assert cli("collections", "list", mode="json").json == []


def test_ctrl_c_keeps_what_is_done(folder: Path, cli: Cli) -> None:
    import numpy as np
    from PIL import Image

    generator = np.random.default_rng(0)
    for number in range(1500):
        noise = generator.integers(0, 255, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.bmp")
    running = process(
        "import", folder, *SHAPES, "--batch-size", "8", "--json", start_new_session=True
    )
    wait_for_rows(100)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to children too
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert "Traceback" not in err
    import json

    summary = json.loads(out)
    assert summary["interrupted"] is True
    done = summary["counts"]["new"]
    assert 0 < done < 1510
    assert cli("collections", "show", "images", mode="json").json["rows"] == done
    assert _counts(cli("import", folder, mode="json")) == (1510 - done, done, 0, 0)
