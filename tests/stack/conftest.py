"""A real Docker engine, and a home for BentoML that each test has to itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from tests.shared import SHARED
from tests.stack.stacks import IMAGES, Stack, compose_up, removed

SCRIPTS = SHARED / "stack"
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def own_bentoml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """BentoML's home; also a PATH that starts with the programs of this environment."""
    home = tmp_path / "bentoml"
    monkeypatch.setenv("BENTOML_HOME", str(home))
    monkeypatch.setenv("BENTOML_DO_NOT_TRACK", "True")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return home


@pytest.fixture
def uv() -> None:
    """Where uv gets packages from, as in the instructions for this machine."""
    if not SCRIPTS.is_dir():
        pytest.skip("needs packages from an index: set CLIPSTACK_SHARED")


@pytest.fixture
def engine(tmp_path_factory: pytest.TempPathFactory, uv: None) -> None:
    """A running engine that has python:3.11-slim. Where the scripts are, it must come up."""
    with FileLock(tmp_path_factory.getbasetemp().parent / "docker.lock"):
        for line in (["setup-docker.sh"], ["build-test-images.sh", "base", "python"]):
            command = [str(SCRIPTS / line[0]), *line[1:]]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{line[0]}: {done.stdout}{done.stderr}"


@pytest.fixture(scope="session")
def stack_images(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every image of a stack. Where the scripts are, none may be missing."""
    if not SCRIPTS.is_dir():
        pytest.skip("needs images of etcd, MinIO and Milvus: set CLIPSTACK_SHARED")
    home = tmp_path_factory.getbasetemp().parent
    with FileLock(home / "docker.lock"):
        for script in ("setup-docker.sh", "build-test-images.sh"):
            run([str(SCRIPTS / script)])
        if not (home / "bento-image").exists():
            tag = IMAGES["CLIPSTACK_BENTOML_IMAGE"]
            clipstack = [sys.executable, "-m", "clipstack"]
            run([*clipstack, "build", "--model", "shapes", "--tag", tag], BENTOML_HOME=str(home))
            (home / "bento-image").touch()


def run(line: list[str], **more: str) -> None:
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    world = {name: value for name, value in os.environ.items() if name[:10] != "CLIPSTACK_"}
    world |= {"PATH": programs} | more
    done = subprocess.run(line, capture_output=True, text=True, env=world, check=False)
    assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"


@pytest.fixture(scope="module")
def stack(
    request: pytest.FixtureRequest, stack_images: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """A running stack of the test file's own, with all four services."""
    name = Path(request.path).stem.replace("_", "-")
    with removed(Stack(tmp_path_factory.mktemp(name), f"clipstack-{name}")) as stack:
        compose_up(stack)
        yield stack
