"""SIGTERM and SIGHUP do what Ctrl-C does: nothing of a command goes on or stays behind."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.models import tiny_clip
from tests.running import Cli, process, wait_for_rows
from tests.unit.encoders.models.hub_server import serving

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SHAPES = ("--model", "shapes")


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def processes_with(text: str) -> list[str]:
    """Command lines of the processes that have `text` in them."""
    lines = []
    for running in psutil.process_iter():
        try:
            lines.append(" ".join(running.cmdline()))
        except psutil.Error:
            continue
    return [line for line in lines if text in line]


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A folder of 1500 pictures, which takes a while to import."""
    import numpy as np
    from PIL import Image

    folder = tmp_path / "pictures"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(1500):
        noise = generator.integers(0, 255, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.bmp")
    return folder


@pytest.mark.parametrize("number", SIGNALS)
def test_what_is_imported_stays(number: int, many: Path, cli: Cli) -> None:
    running = process("import", many, *SHAPES, "--batch-size", "8", "--json")
    wait_for_rows(100)
    # As `timeout` and a terminal that closes do: more than once, at almost the same time.
    running.send_signal(number)
    time.sleep(0.1)
    running.send_signal(number)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 128 + number, err
    assert "Traceback" not in err
    summary = json.loads(out)
    assert summary["interrupted"] is True
    assert (
        cli("collections", "show", "images", mode="json").json["rows"] == summary["counts"]["new"]
    )


def test_a_terminal_that_closes(many: Path, cli: Cli) -> None:
    master, slave = os.openpty()
    running = process(
        *("import", many, *SHAPES, "--batch-size", "8"),
        **dict.fromkeys(("stdin", "stdout", "stderr"), slave),
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    reader = threading.Thread(target=_read_all, args=(master,), daemon=True)
    reader.start()
    wait_for_rows(100)
    os.close(master)
    assert running.wait(60) == 128 + signal.SIGHUP
    rows = cli("collections", "show", "images", mode="json").json["rows"]
    assert 100 <= rows < 1500


def _read_all(descriptor: int) -> None:
    try:
        while os.read(descriptor, 65536):
            pass
    except OSError:  # closed
        pass


def test_nohup(many: Path) -> None:
    running = process(
        *("import", many, *SHAPES, "--batch-size", "8", "--json"),
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    wait_for_rows(100)
    running.send_signal(signal.SIGHUP)
    out, err = running.communicate(timeout=120)
    assert running.returncode == 0, err
    assert json.loads(out)["counts"]["new"] == 1500


def test_in_the_background_of_a_script(many: Path) -> None:
    running = process(
        *("import", many, *SHAPES, "--batch-size", "8", "--json"),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    wait_for_rows(100)
    running.send_signal(signal.SIGINT)
    wait_for_rows(300)
    assert running.poll() is None
    running.send_signal(signal.SIGTERM)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 128 + signal.SIGTERM, err
    assert json.loads(out)["interrupted"] is True


@pytest.mark.parametrize("number", SIGNALS)
def test_the_conversion_of_a_model_ends(number: int, gallery: Path, tmp_path: Path) -> None:
    options = ("--model", tiny_clip(tmp_path / "model"), "--engine", "openvino")
    cache = tmp_path / "cache" / "openvino"
    running = process("import", gallery, *options)
    wait_until(lambda: list(cache.glob(".new-*")) and processes_with(str(cache)))
    running.send_signal(number)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 128 + number, err
    assert "Traceback" not in err
    assert processes_with(str(cache)) == []
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("number", SIGNALS)
def test_a_download_ends(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    with serving({"some/model": tiny_clip(tmp_path / "model")}) as hub:
        hub.stalled.add("model.safetensors")
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        running = process("models", "pull", "some/model")
        wait_until(lambda: "model.safetensors" in hub.fetched)
        running.send_signal(number)
        _, err = running.communicate(timeout=20)
        assert running.returncode == 128 + number, err
        assert "Traceback" not in err


@pytest.mark.parametrize("number", SIGNALS)
def test_a_second_signal_ends_it_at_once(number: int) -> None:
    stubborn = "trap '' INT TERM; echo started; sleep 3214; sleep 3215"
    code = (
        "from clipstack import interrupts; interrupts.install();"
        "from clipstack.stack.subprocesses import stream;"
        f"stream(['sh', '-c', {stubborn!r}], 'sh', lambda line: print(line, flush=True))"
    )
    command = [sys.executable, "-c", code]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert running.stdout
    assert running.stdout.readline() == "started\n"
    running.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(2)
    running.send_signal(number)
    assert running.wait(5) == 128 + number
    wait_until(lambda: not processes_with("sleep 3214"), 5)
