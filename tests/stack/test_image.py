"""`clipstack build` and the plain bentoml lines make images that work, on a real Docker engine."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from clipstack.encoders import load
from clipstack.images.decode import decode
from tests.running import process
from tests.serving import free_port
from tests.stack.conftest import ROOT
from tests.unit.images import samples

pytestmark = pytest.mark.usefixtures("engine")

# What is kept makes the next run quick, and no more than that fills the disk.
PRUNE = ["docker", "builder", "prune", "--force", "--keep-storage", "6GB"]

INSIDE = """
import importlib.metadata as m, json, os, urllib.request as u
def ask(path, data=None):
    headers = {"Content-Type": "text/plain"}
    return u.urlopen(u.Request("http://127.0.0.1:3000" + path, data, headers), timeout=60).read()
print(json.dumps({
    "user": os.getuid(),
    "ready": bool(ask("/readyz") or True),
    "model": json.loads(ask("/model")),
    "vector": json.loads(ask("/vectorize_text", b"a red circle"))["vector"],
    "packages": sorted(d.name.lower() for d in m.distributions()),
}))
"""


def docker(*args: str) -> str:
    done = subprocess.run(["docker", *args], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"docker {args}: {done.stderr}"
    return done.stdout.strip()


@contextlib.contextmanager
def container(image: str, *args: str) -> Iterator[str]:
    name = docker("run", "--rm", "--detach", *args, image)
    try:
        yield name
    finally:
        docker("rm", "--force", name)


@contextlib.contextmanager
def removed(tag: str) -> Iterator[str]:
    """The image is removed afterwards, and the build's cache is small."""
    try:
        yield tag
    finally:
        subprocess.run(["docker", "image", "rm", "--force", tag], capture_output=True, check=False)
        subprocess.run(PRUNE, capture_output=True, check=False)


def wait_until_ready(name: str, port: int) -> float:
    started = time.monotonic()
    while time.monotonic() < started + 120:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == 200:
                return time.monotonic() - started
        time.sleep(0.3)
    raise AssertionError(docker("logs", name))


def ask_inside(name: str) -> dict:
    """Answers of a service that only its own container can reach."""
    until = time.monotonic() + 120
    while True:
        line = ["docker", "exec", name, "python", "-c", INSIDE]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return json.loads(done.stdout)
        assert time.monotonic() < until, docker("logs", name) + done.stderr
        time.sleep(1)


def cosine(left: list[float] | np.ndarray, right: np.ndarray) -> float:
    return float(np.dot(left, right) / np.linalg.norm(left) / np.linalg.norm(right))


def test_a_built_image_answers_as_this_process_does(capsys: pytest.CaptureFixture[str]) -> None:
    with removed("clipstack-test-built:latest") as tag:
        started = time.monotonic()
        build = process("build", "--model", "shapes", "--tag", tag, "--json")
        out, err = build.communicate()
        assert build.returncode == 0, err
        took = time.monotonic() - started
        result = json.loads(out)
        assert result["run"] == f"docker run --rm -p 3000:3000 {tag}"
        assert result["bytes"] == int(docker("image", "inspect", "-f", "{{.Size}}", tag))
        assert "installing the packages" in err
        port = free_port()
        with container(tag, "--publish", f"127.0.0.1:{port}:3000") as name:
            with container(tag, "--network", "none") as lonely:
                ready = wait_until_ready(name, port)
                inside = ask_inside(lonely)
            answers_as_in_process(f"http://127.0.0.1:{port}")
            becomes_healthy(name)
        base = int(docker("image", "inspect", "-f", "{{.Size}}", "python:3.11-slim"))
        with capsys.disabled():
            size = (
                f"{result['bytes'] / 1e9:.2f} GB, {(result['bytes'] - base) / 1e9:.2f} without base"
            )
            print(f"\nimage: {size}; built in {took:.0f} s, ready in {ready:.0f} s")
    assert inside["user"] != 0
    assert inside["model"]["id"] == "shapes"
    assert cosine(inside["vector"], load("shapes").encode_texts(["a red circle"])[0]) > 0.99999
    assert needless(inside["packages"]) == []


def needless(packages: list[str]) -> list[str]:
    """CUDA's packages, and those of other rooms. nvidia-ml-py is BentoML's, 50 kB of Python."""
    others = {"pymilvus", "opencv-python", "opencv-python-headless", "pytest", "clipstack", "uv"}
    cuda = ("nvidia-", "cuda-", "triton")
    return [
        name
        for name in packages
        if name in others or (name.startswith(cuda) and name != "nvidia-ml-py")
    ]


def answers_as_in_process(url: str) -> None:
    encoder = load("shapes")
    for kind, data in {"jpeg": samples.jpeg(), "gif": samples.gif(), "jp2": samples.jp2()}.items():
        here = encoder.encode_images(decode(data, encoder.info.geometry).pixels[None])[0]
        headers = {"content-type": f"image/{kind}"}
        answer = httpx.post(f"{url}/vectorize", content=data, headers=headers, timeout=60)
        assert cosine(answer.json()["vector"], here) > 0.99999, kind
    answer = httpx.post(f"{url}/vectorize_text", json={"text": "dog"}, timeout=60)
    assert cosine(answer.json()["vector"], encoder.encode_texts(["dog"])[0]) > 0.99999
    assert httpx.get(f"{url}/model").json()["fingerprint"] == encoder.info.fingerprint


def becomes_healthy(name: str) -> None:
    until = time.monotonic() + 60
    while docker("inspect", "-f", "{{.State.Health.Status}}", name) != "healthy":
        assert time.monotonic() < until, docker("inspect", "-f", "{{json .State.Health}}", name)
        time.sleep(1)


def test_the_plain_lines_make_an_image(own_bentoml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.environ.get("PIP_FIND_LINKS") and not os.environ.get("UV_FIND_LINKS"):
        monkeypatch.setenv("UV_FIND_LINKS", os.environ["PIP_FIND_LINKS"])
    with removed("clipstack-test-plain:latest") as tag:
        for line in (
            ["bentoml", "build"],
            ["bentoml", "containerize", "clip_image_vectorizer:latest", "-t", tag],
        ):
            done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
        with container(tag, "--network", "none") as name:
            inside = ask_inside(name)
    assert inside["model"]["id"] == "shapes"
    assert needless(inside["packages"]) == []


def test_two_platforms_are_known(cli) -> None:
    ran = cli("build", "--model", "shapes", "--platform", "linux/s390x")
    assert ran.code == 2
    assert "linux/arm64" in ran.err
