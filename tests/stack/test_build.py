"""`clipstack build` without an image: what is stored, and the errors."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from clipstack.service import container_image
from clipstack.stack.build_context import uv_settings
from tests.models import tiny_clip
from tests.running import Cli, Ran, process


@pytest.fixture
def fake_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A `docker` that says something and fails, first on PATH."""

    def put(says: str) -> None:
        folder = tmp_path / "fake"
        folder.mkdir(exist_ok=True)
        program = folder / "docker"
        program.write_text(f"#!/bin/sh\necho '{says}' >&2\nexit 1\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    return put


@pytest.mark.parametrize(
    ("says", "error"),
    {
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon "
        "running?": "Docker is not running",
        "Got permission denied while trying to connect to the Docker daemon socket": "this user "
        "may not use Docker",
        "something new": "Docker can't be used: something new",
    }.items(),
)
def test_docker_that_does_not_answer(says: str, error: str, fake_docker, cli: Cli) -> None:
    fake_docker(says)
    ran = cli("build", "--model", "shapes")
    assert ran.code == 4
    assert error in ran.err
    assert len(ran.err.splitlines()) <= 2


def test_no_docker(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ran = cli("build", "--model", "shapes", mode="json")
    assert ran.code == 4
    assert ran.json["error"]["message"] == "Docker is not installed"
    assert "--no-containerize" in ran.json["error"]["hint"]


def test_a_missing_model(cli: Cli) -> None:
    assert cli("build", "--model", "./nowhere/model", "--no-containerize").code == 6
    assert cli("build", "--model", "some/model", "--no-containerize").code == 4


def test_an_engine_that_is_not_for_the_platform(cli: Cli) -> None:
    line = ["build", "--model", "shapes", "--no-containerize", "--engine", "openvino"]
    assert cli(*line, "--platform", "linux/arm64").code == 2
    assert cli(*line[:-1], "onnx").code == 2


def test_a_tag_that_is_none(cli: Cli) -> None:
    assert cli("build", "--model", "shapes", "--tag", "A B", "--no-containerize").code == 2


@pytest.mark.parametrize(
    ("given", "handed_on"),
    [
        ({}, {"UV_TORCH_BACKEND": "cpu"}),
        ({"UV_TORCH_BACKEND": "auto"}, {}),
        ({"UV_FIND_LINKS": "/w", "PIP_FIND_LINKS": "/v"}, {}),
        ({"PIP_FIND_LINKS": "/v /w"}, {"UV_FIND_LINKS": "/v,/w"}),
        ({"PIP_INDEX_URL": "https://i"}, {"UV_DEFAULT_INDEX": "https://i"}),
    ],
)
def test_where_uv_looks_for_packages(given: dict[str, str], handed_on: dict[str, str]) -> None:
    assert uv_settings(given) == handed_on


def test_the_image_gets_packages_as_they_were_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_TORCH_BACKEND", "cpu")
    image = container_image.image(None)
    assert "\nENV UV_TORCH_BACKEND=cpu" in image.commands[0]
    assert "\nENV CLIPSTACK_MODEL=shapes" in image.post_commands[0]
    assert re.search(r"^openvino==[0-9.]+$", image.python_requirements, re.MULTILINE)
    assert "torch" not in image.python_requirements
    monkeypatch.setenv(container_image.ENGINE_VARIABLE, "torch")
    assert re.search(
        r"^torch==[0-9.]+$", container_image.image(None).python_requirements, re.MULTILINE
    )


def build(*args: object) -> Ran:
    """A process of its own: BentoML remembers the home it was first imported with."""
    running = process("build", *args)
    out, err = running.communicate()
    return Ran(running.returncode, out, err)


@pytest.mark.usefixtures("uv")
def test_without_docker_the_bento_is_built(tmp_path: Path, own_bentoml: Path, fake_docker) -> None:
    fake_docker("Cannot connect to the Docker daemon")
    folder = tiny_clip(tmp_path / "tiny")
    first = build("--model", folder, "--no-containerize", "--json")
    assert first.code == 0, first.err
    assert "bentoml containerize" in first.err
    result = first.json
    again = build("--model", folder, "--no-containerize", "--quiet")
    assert again.err == ""
    assert again.out.startswith("clip_image_vectorizer:")

    (stored,) = [
        path for path in (own_bentoml / "models" / "clip_model").iterdir() if path.is_dir()
    ]
    assert result["stored"] == f"clip_model:{stored.name}", "the same model is stored once"
    assert "clipstack_name: tiny" in (stored / "model.yaml").read_text()
    assert {path.name for path in (stored / "openvino").iterdir()} >= {"image.xml", "text.xml"}
    assert not (stored / "model.safetensors").exists()
    bento = own_bentoml / "bentos" / result["bento"].replace(":", "/")
    assert result["stored"] in (bento / "bento.yaml").read_text()
    parts = {path.name for path in (bento / "src" / "clipstack").iterdir()}
    assert parts == {
        *("__init__.py", "errors.py", "events.py", "http_client.py", "interrupts.py", "net.py"),
        *("retry.py", "vectors.py"),
        *("settings", "images", "encoders", "service", "web"),
    }


@pytest.mark.usefixtures("uv")
def test_cuda_is_not_packed_by_mistake(
    tmp_path: Path, own_bentoml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    ran = build("--model", "shapes", "--no-containerize", "--engine", "torch")
    assert ran.code == 4, ran.err
    assert "packages of CUDA" in ran.err
    assert "UV_TORCH_BACKEND=cpu" in ran.err
    assert list((own_bentoml / "bentos").rglob("bento.yaml")) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing(
    number: int, own_bentoml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    running = process("build", "--model", "shapes", "--no-containerize")
    until = time.monotonic() + 60
    while not list(own_bentoml.glob("tmp/*/tmp/bentoml_bento_*")):
        assert time.monotonic() < until
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(number)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 128 + number, err
    assert "Traceback" not in err
    assert list(temporary.iterdir()) == []
    assert list((own_bentoml / "tmp").iterdir()) == []
    lines = [" ".join(child.info["cmdline"] or []) for child in psutil.process_iter(["cmdline"])]
    assert not [line for line in lines if str(own_bentoml) in line]


@pytest.mark.parametrize("tag", ["a:b:c", "A:b", "a b", "a/b:-x", "a//b", "", "é:x"])
def test_what_no_image_can_be_called(tag: str, cli: Cli) -> None:
    ran = cli("build", "--model", "shapes", "--no-containerize", "--tag", tag)
    assert ran.code == 2
    assert "can't be the name of an image" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("name", ["models", "bentos", "tmp", ""])
def test_a_file_where_bentoml_keeps_folders(name: str, own_bentoml: Path, cli: Cli) -> None:
    (own_bentoml / name).parent.mkdir(parents=True, exist_ok=True)
    (own_bentoml / name).touch()
    ran = process("build", "--model", "shapes", "--no-containerize", stdin=subprocess.DEVNULL)
    _, err = ran.communicate(timeout=60)
    assert ran.returncode == 4, err
    assert str(own_bentoml / name) in err
    assert "BENTOML_HOME" in err
    assert "unexpected" not in err
