"""A stack in the engine of another machine: it is looked for there, or a tunnel is named."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack import engines
from tests.stack.engines import Engine, ran
from tests.stack.stacks import IMAGES, Stack, docker

pytestmark = pytest.mark.usefixtures("stack_images")

NAMESPACE = "clipstack-far"
HERE, THERE = "10.213.7.1", "10.213.7.2"
PROJECT = "clipstack-test-far"


def ip(*args: str) -> None:
    subprocess.run(["ip", *args], check=True, capture_output=True)


@pytest.fixture(scope="module")
def far(stack_images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine with a network of its own, 10.213.7.2, and the stack's images."""
    folder = tmp_path_factory.mktemp("far")
    remove_namespace()
    ip("netns", "add", NAMESPACE)
    try:
        ip("link", "add", "clipstack-far0", "type", "veth", "peer", "name", "eth0", "netns",
           NAMESPACE)  # fmt: skip
        ip("addr", "add", f"{HERE}/30", "dev", "clipstack-far0")
        ip("link", "set", "clipstack-far0", "up")
        for line in (f"addr add {THERE}/30 dev eth0", "link set eth0 up", "link set lo up"):
            ip("-n", NAMESPACE, *line.split())
        with engines.running_engine(folder, address=THERE, namespace=NAMESPACE) as engine:
            archive = folder / "images.tar"
            docker("save", "-o", str(archive), *(v for n, v in IMAGES.items() if n.endswith("GE")))
            engine.docker("load", "-i", str(archive))
            archive.unlink()
            files = engine.certificates
            tls = ",".join(f"{name}={files}/{name}.pem" for name in ("ca", "cert", "key"))
            engine.docker_config = folder / "config"
            engines.make_context(engine.docker_config, "far", f"host={engine.tcp},{tls}")
            yield engine
            for container in engine.docker("ps", "-aq").split():
                engine.docker("rm", "--force", "--volumes", container)
    finally:
        remove_namespace()


def remove_namespace() -> None:
    subprocess.run(["ip", "netns", "del", NAMESPACE], check=False, capture_output=True)


@pytest.fixture
def stack(tmp_path: Path, far: Engine) -> Stack:
    variables = {"DOCKER_CONFIG": str(far.docker_config), "DOCKER_CONTEXT": "far"}
    return Stack(tmp_path / "stack", PROJECT, variables)


def test_services_are_sought_on_its_machine(stack: Stack, far: Engine, gallery: Path) -> None:
    """Everything from `up` to `down --volumes`, with Milvus on all addresses of that machine."""
    stack.variables |= {"CLIPSTACK_BIND_ADDRESS": "0.0.0.0"}
    up = stack.clipstack("up", "--json")
    assert up.code == 0, up.out + up.err
    urls = {service["name"]: service["url"] for service in up.json["services"]}
    assert urls["milvus"] == f"http://{THERE}:{stack.port('MILVUS')}"
    assert up.json["encode"]["model"] == "shapes"
    assert f"who reaches {THERE} reaches them" in up.err

    # Import, search and health don't need to be told of the engine again.
    for name in ("DOCKER_CONTEXT", "CLIPSTACK_BIND_ADDRESS"):
        del stack.variables[name]
    imported = stack.clipstack("import", gallery)
    assert imported.code == 0, imported.err
    searched = stack.clipstack("search", "red circle", "-k", "1", "--quiet")
    assert searched.code == 0, searched.err
    assert len(searched.out.split()) == 1
    health = stack.clipstack("health", "--json")
    assert health.code == 0, health.out

    status = ran(stack, {"DOCKER_CONTEXT": "far"}, "status", "--json")
    assert {service["url"].rpartition(":")[0] for service in status.json["services"]} == {
        f"http://{THERE}"
    }

    # In this machine's engine it is another stack: its deletion costs the far one nothing.
    near = ran(stack, {"DOCKER_CONTEXT": "default"}, "down", "--volumes", "--yes")
    assert near.code == 0, near.err
    assert "stays as it is" in near.err
    again = stack.clipstack("search", "red circle", "-k", "1", "--quiet")
    assert again.out == searched.out

    # The far engine by another URL: it is the one that the stack was started in.
    down = ran(stack, {"DOCKER_HOST": far.socket}, "down", "--volumes", "--yes", "--json")
    assert down.code == 0, down.out
    assert len(down.json["volumes"]) == 3
    assert far.socket in down.json["docker"]
    assert "stays as it is" not in down.err
    assert "embedded" in down.err


def test_loopback_of_another_machine_needs_a_tunnel(
    stack: Stack, far: Engine, tmp_path: Path
) -> None:
    folder = engines.fake_ssh(tmp_path / "ssh", far, THERE)
    stack.variables |= {
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "DOCKER_HOST": "ssh://me@build",
    }
    port = stack.port("MILVUS")
    try:
        up = stack.clipstack("up", "--json", timeout=300)
        assert up.code == 0, up.out + up.err
        assert f"127.0.0.1 of {THERE} alone" in up.err
        assert f"-L {port}:127.0.0.1:{port} " in up.err
        assert "me@build`" in up.err
        health = stack.clipstack("health", "--json")
        assert health.code == 5
        (milvus,) = [s for s in health.json["services"] if s["name"] == "milvus"]
        assert f"-L {port}:127.0.0.1:{port} " in milvus["hint"]
        search = stack.clipstack("search", "red circle", "--json", "--wait", "1")
        assert search.code in (5, 124)
    finally:
        down = stack.clipstack("down", "--volumes", "--yes")
    assert down.code == 0, down.err


def test_a_firewall_is_thought_of(stack: Stack, far: Engine) -> None:
    stack.variables |= {"CLIPSTACK_BIND_ADDRESS": "0.0.0.0"}
    port = str(stack.port("BENTOML"))
    rule = ["PREROUTING", "-i", "eth0", "-p", "tcp", "--dport", port, "-j", "DROP"]
    in_namespace = ["nsenter", f"--net=/run/netns/{NAMESPACE}", "iptables", "-t", "raw"]
    subprocess.run([*in_namespace, "-I", *rule], check=True)
    try:
        up = stack.clipstack("up", "bentoml", "--timeout", "40", "--json")
        assert up.code in (5, 124)
        hint = up.json["error"]["hint"]
        assert f"The services run on {THERE}" in hint
        assert f"-L {port}:127.0.0.1:{port} " in hint
    finally:
        subprocess.run([*in_namespace, "-D", *rule], check=True)
        down = stack.clipstack("down", "--volumes", "--yes")
    assert down.code == 0, down.err
