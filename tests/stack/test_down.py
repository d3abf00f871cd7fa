"""`clipstack down` deletes all of the data or none, and says what stays."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import DockerClient

from tests.stack.stacks import IMAGES, Stack, docker, removed

pytestmark = pytest.mark.usefixtures("stack_images")
IMAGE = IMAGES["CLIPSTACK_ETCD_IMAGE"]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Stack]:
    """A running etcd and object store."""
    with removed(Stack(tmp_path / "stack", "clipstack-test-down")) as stack:
        assert stack.clipstack("up", "etcd", "minio").code == 0
        yield stack


@contextlib.contextmanager
def foreign(*options: str) -> Iterator[str]:
    """A container of somebody else's; its name."""
    name = "clipstack-test-down-foreign"
    with contextlib.suppress(AssertionError):
        docker("rm", "--force", name)
    docker("run", "-d", f"--name={name}", "--entrypoint=sleep", *options, IMAGE, "1000")
    try:
        yield name
    finally:
        docker("rm", "--force", name)


def volumes(stack: Stack) -> list[str]:
    label = f"label=com.docker.compose.project={stack.project}"
    return docker("volume", "ls", "-q", "--filter", label).split()


@pytest.mark.parametrize("is_running", [True, False])
def test_one_volume_in_use_keeps_them_all(small: Stack, is_running: bool) -> None:
    before = volumes(small), small.container("etcd")
    with foreign("--network=none", "-v", f"{small.project}_minio:/data") as name:
        if not is_running:
            docker("stop", "-t", "0", name)
        ran = small.clipstack("down", "--volumes", "--yes", "--json")
        assert ran.code == 5
        assert f"{small.project}_minio is in use by the container {name}" in ran.out
        assert f"docker rm --force {name}" in ran.json["error"]["hint"]
        assert (volumes(small), small.container("etcd")) == before, "nothing was touched"
    assert small.clipstack("down", "--volumes", "--yes").code == 0
    assert volumes(small) == []


def test_a_container_in_the_network_is_a_note(small: Stack) -> None:
    network = f"{small.project}_default"
    with foreign(f"--network={network}") as name:
        ran = small.clipstack("down")
        assert ran.code == 0
        assert f"The network {network} stays: the container {name}" in ran.err
        assert small.container("etcd") == ""
        assert small.clipstack("up", "etcd").code == 0
    assert small.clipstack("down").code == 0
    assert docker("network", "ls", "-q", "--filter", f"name={network}") == ""


def test_an_interrupted_deletion_is_finished(small: Stack) -> None:
    """As after kill -9 between two volumes: half of the data is of no use to anybody."""
    docker("exec", small.container("minio"), "touch", "/minio_data/left")
    docker("rm", "--force", small.container("etcd"), small.container("minio"))
    created = {
        name: docker("volume", "inspect", name, "-f", "{{.CreatedAt}}") for name in volumes(small)
    }
    docker("volume", "rm", f"{small.project}_etcd")
    folder = small.folder / "data" / "stacks" / small.project
    (folder / "deletion.json").write_text(json.dumps({"volumes": created}))
    ran = small.clipstack("up", "etcd", "minio")
    assert ran.code == 0, ran.err
    assert f"{small.project}_milvus, {small.project}_minio are deleted now" in ran.err
    assert "left" not in docker("exec", small.container("minio"), "ls", "/minio_data").split()
    assert not (folder / "deletion.json").exists()


def test_volumes_made_since_an_interrupted_deletion_stay(small: Stack) -> None:
    folder = small.folder / "data" / "stacks" / small.project
    old = dict.fromkeys(volumes(small), "2020-01-01T00:00:00Z")
    (folder / "deletion.json").write_text(json.dumps({"volumes": old}))
    docker("exec", small.container("minio"), "touch", "/minio_data/mine")
    assert small.clipstack("up", "etcd", "minio").code == 0
    assert "mine" in docker("exec", small.container("minio"), "ls", "/minio_data").split()


def test_two_networks_of_one_name_are_mended(small: Stack) -> None:
    network = f"{small.project}_default"
    key = "com.docker.compose"
    labels = {f"{key}.project": small.project, f"{key}.network": "default"}
    client = DockerClient.from_env()
    client.api.create_network(network, check_duplicate=False, labels=labels)
    listed = docker("network", "ls", "-q", "--filter", f"name={network}").split()
    assert len(listed) == 2, "this engine makes two"
    ran = small.clipstack("up", "etcd", "minio")
    assert ran.code == 0, ran.err
    assert "two networks" in ran.err
    assert len(docker("network", "ls", "-q", "--filter", f"name={network}").split()) == 1


def test_another_stack_does_not_change_the_current_target(small: Stack) -> None:
    other = Stack(small.folder, f"{small.project}-other", {})

    def target(stack: Stack) -> str:
        return stack.clipstack("config", "show", "--json").json["target"]

    assert small.clipstack("target", "use", "stack").code == 0
    assert other.clipstack("down").code == 0
    assert (target(small), target(other)) == ("stack", "embedded")
    assert other.clipstack("target", "use", "stack").code == 0
    down = small.clipstack("down")
    assert "`embedded` is the target" in down.err
    assert (target(small), target(other)) == ("embedded", "stack")
    assert small.clipstack("down", "--project", other.project).code == 0
    assert (target(small), target(other)) == ("embedded", "embedded")
