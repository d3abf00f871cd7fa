"""`clipstack serve`: the service from any folder, and what is said when it can't start."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import httpx
import psutil
import pytest

from tests.running import Cli, process
from tests.serving import free_port
from tests.stack.conftest import ROOT


def wait_until_ready(running: subprocess.Popen[str], port: int) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and running.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == 200:
                return
        time.sleep(0.3)
    running.kill()
    raise AssertionError(running.communicate())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_serves_until_a_signal(number: int) -> None:
    port = free_port()
    running = process("serve", "--port", port, "--model", "shapes", "--workers", 2, "--json")
    try:
        wait_until_ready(running, port)
        assert httpx.get(f"http://127.0.0.1:{port}/model").json()["id"] == "shapes"
        body = {"text": "a red circle"}
        assert httpx.post(f"http://127.0.0.1:{port}/vectorize_text", json=body).status_code == 200
        running.send_signal(number)
        out, err = running.communicate(timeout=30)
    finally:
        running.kill()
    assert running.returncode == 128 + number
    assert json.loads(out) == {
        "url": f"http://127.0.0.1:{port}",
        "docs": f"http://127.0.0.1:{port}/",
        "ready": f"http://127.0.0.1:{port}/readyz",
        "model": "shapes",
        "workers": 2,
    }
    assert f"curl http://127.0.0.1:{port}/vectorize_text" in err
    assert "Traceback" not in err
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{port}/livez")
    lines = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    assert not [line for line in lines if "bentoml" in line and str(port) in line]


def test_a_taken_port(cli: Cli) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        ran = cli("serve", "--model", "shapes", "--port", holder.getsockname()[1])
    assert ran.code == 4
    assert "is taken" in ran.err
    assert "--port" in ran.err


def test_a_missing_model(cli: Cli) -> None:
    ran = cli("serve", "--model", "some/model", "--port", free_port())
    assert ran.code == 4
    assert "clipstack models pull some/model" in ran.err


@pytest.mark.parametrize("host", ["203.0.113.1", "no.such.host.invalid"])
def test_an_address_of_another_machine(host: str, cli: Cli) -> None:
    assert cli("serve", "--model", "shapes", "--host", host, "--port", free_port()).code == 2


@pytest.mark.usefixtures("uv")
def test_the_wheel_serves_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    shutil.copytree(
        ROOT,
        source,
        ignore=shutil.ignore_patterns(".git", ".venv", "*cache*", "__pycache__", "tests"),
    )
    line = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), source]
    subprocess.run(line, check=True)
    (wheel,) = tmp_path.glob("clipstack_search-*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    assert (installed / "clipstack" / "stack" / "home" / "bentofile.yaml").is_file()
    assert (installed / "clipstack" / "page" / "assets" / "index.html").is_file()
    monkeypatch.setenv("PYTHONPATH", str(installed))
    port = free_port()
    running = process("serve", "--port", port, "--model", "shapes")
    try:
        wait_until_ready(running, port)
        assert httpx.get(f"http://127.0.0.1:{port}/model").json()["id"] == "shapes"
    finally:
        running.terminate()
        out, _ = running.communicate(timeout=30)
    assert out == ""
