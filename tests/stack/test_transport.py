"""How a stack and remote services are reached: proxies, IPv6, deadlines."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clipstack.errors import NotFoundError, UnreachableError
from clipstack.index.milvus.index import MilvusIndex
from tests.material import Model
from tests.proxies import VARIABLES, Proxy, recording_proxy, relay
from tests.running import Ran, process
from tests.stack.stacks import Stack, docker, removed, wait_until_healthy

pytestmark = pytest.mark.stack

WAYS = {
    "http": ("http_proxy", "https_proxy"),
    "HTTP": ("HTTP_PROXY", "HTTPS_PROXY"),
    "grpc": ("grpc_proxy",),
    "ALL": ("ALL_PROXY",),
}
"""Variables that name a proxy for HTTP."""


@pytest.fixture(scope="module")
def filled(stack: Stack, gallery: Path) -> Stack:
    """A running stack with the gallery."""
    ran = run(stack, "--target", "stack", "import", gallery)
    assert ran.code == 0, ran.err
    return stack


@pytest.fixture
def proxy(filled: Stack) -> Iterator[Proxy]:
    """A proxy that knows where the stack's Milvus is as milvus.test, its encoder as encoder.test"""
    ports = {"milvus.test": filled.port("MILVUS"), "encoder.test": filled.port("BENTOML")}
    with recording_proxy({name: f"127.0.0.1:{port}" for name, port in ports.items()}) as proxy:
        yield proxy


def run(stack: Stack, *args: object, **variables: str) -> Ran:
    """`clipstack ARGS` with these variables, and no others that name proxies."""
    others = {f"{name}_proxy" for name in VARIABLES}
    world = {name: text for name, text in stack.environment.items() if name.lower() not in others}
    line = process(*args, env=world | variables, cwd=stack.folder)
    try:
        out, err = line.communicate(timeout=120)
    finally:
        line.kill()
    return Ran(line.returncode, out, err)


def remote(milvus: str = "http://milvus.test:19530", encoder: str = "http://encoder.test:3000"):
    return {"CLIPSTACK_MILVUS_URI": milvus, "CLIPSTACK_ENCODER_URL": encoder}


def states(ran: Ran) -> dict[str, str]:
    """The status of each service, of the JSON of `health`."""
    return {service["name"]: service["status"] for service in ran.json["services"]}


COMMANDS = (
    ("search", "red circle", "-k", "1"),
    ("collections", "list"),
    ("health", "--deep"),
)


@pytest.mark.parametrize("way", [*WAYS, "SOCKS"])
def test_no_proxy_is_asked_for_the_stack(filled: Stack, proxy: Proxy, way: str) -> None:
    url = f"{'socks5' if way == 'SOCKS' else 'http'}://127.0.0.1:{proxy.port}"
    variables = dict.fromkeys(WAYS.get(way, ("ALL_PROXY",)), url)
    for command in (*COMMANDS, ("status",), ("doctor",)):
        ran = run(filled, "--target", "stack", *command, **variables)
        assert ran.code == 0, ran.err
    assert proxy.requests == []


@pytest.mark.parametrize("way", ["http", "HTTP", "ALL"])
def test_remote_services_are_reached_by_the_proxy(filled: Stack, proxy: Proxy, way: str) -> None:
    variables = remote() | dict.fromkeys(WAYS[way], f"http://127.0.0.1:{proxy.port}")
    for command in (COMMANDS[0], COMMANDS[2]):
        ran = run(filled, *command, **variables)
        assert ran.code == 0, ran.err
        assert proxy.hosts == ["encoder.test", "milvus.test"], command
        proxy.requests.clear()


def test_a_socks_proxy_for_remote_services(filled: Stack, proxy: Proxy) -> None:
    variables = remote() | {"ALL_PROXY": f"socks5h://127.0.0.1:{proxy.port}"}
    ran = run(filled, "search", "red circle", **variables)
    assert ran.code == 2, ran.err
    assert "gRPC only knows proxies with http://" in ran.err
    health = run(filled, "health", "--json", **variables)
    assert states(health) == {"milvus": "down", "encoder": "ok"}
    assert "gRPC only knows proxies with http://" in health.json["services"][0]["reason"]
    assert proxy.hosts == ["encoder.test"]
    proxy.requests.clear()
    variables["grpc_proxy"] = f"http://127.0.0.1:{proxy.port}"
    assert run(filled, "search", "red circle", **variables).code == 0
    assert {request.split()[0] for request in proxy.requests} == {"SOCKS5", "CONNECT"}


def test_no_proxy_names_networks(filled: Stack, proxy: Proxy) -> None:
    address = filled.docker(
        "inspect", "milvus", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    )
    local = f"http://127.0.0.1:{filled.port('BENTOML')}"
    variables = remote(f"http://{address}:19530", local)
    variables["http_proxy"] = f"http://127.0.0.1:{proxy.port}"
    for no_proxy, hosts in (("", [address]), (f"{address}/16", []), (address, []), ("*", [])):
        for command in (COMMANDS[0], ("health",)):
            ran = run(filled, *command, **variables, NO_PROXY=no_proxy)
            assert ran.code == 0, ran.err
        assert proxy.hosts == hosts, no_proxy
        proxy.requests.clear()


def test_services_at_ipv6_addresses(filled: Stack, gallery: Path) -> None:
    with (
        relay("::1", f"127.0.0.1:{filled.port('MILVUS')}") as milvus,
        relay("::1", f"127.0.0.1:{filled.port('BENTOML')}") as encoder,
    ):
        variables = remote(f"http://[::1]:{milvus}", f"http://[::1]:{encoder}")
        variables["http_proxy"] = "http://127.0.0.1:9"
        for command in (("import", gallery, "--collection", "six"), *COMMANDS):
            ran = run(filled, *command, **variables)
            assert ran.code == 0, ran.err
        wrong = run(filled, "search", "x", **remote(f"http://::1:{milvus}"))
        assert wrong.code == 2
        assert "http://[::1]:19530" in wrong.err


def test_a_stack_that_listens_on_ipv6(filled: Stack, gallery: Path, tmp_path: Path) -> None:
    variables = {"CLIPSTACK_BIND_ADDRESS": "[::1]"}
    with removed(Stack(tmp_path, "clipstack-test-transport-six", variables)) as stack:
        up = stack.clipstack("up", "--json")
        assert up.code == 0, up.err
        assert all(service["url"].startswith("http://[::1]:") for service in up.json["services"])
        del stack.variables["CLIPSTACK_BIND_ADDRESS"]  # `up` has saved it
        for command in (("import", gallery), *COMMANDS, ("open", "bentoml")):
            ran = stack.clipstack("--target", "stack", *command)
            assert ran.code == 0, ran.err


def test_proxies_that_docker_puts_into_containers(filled: Stack, tmp_path: Path) -> None:
    config = tmp_path / "docker"
    config.mkdir()
    proxy = "http://127.0.0.1:9"
    proxies = {"httpProxy": proxy, "httpsProxy": proxy, "noProxy": "example.com"}
    (config / "config.json").write_text(json.dumps({"proxies": {"default": proxies}}))
    with removed(Stack(tmp_path / "stack", "clipstack-test-transport-docker")) as stack:
        ran = run(stack, "up", "--timeout", "120", DOCKER_CONFIG=str(config))
        assert ran.code == 0, ran.err
        assert proxy in docker("exec", stack.container("milvus"), "env")
        assert run(stack, "--target", "stack", "health", "--deep").code == 0


@pytest.mark.parametrize("address", ["localhst", "192.0.2.1", "::2", "1.2.3"])
def test_a_bad_address_is_not_remembered(filled: Stack, tmp_path: Path, address: str) -> None:
    stack = Stack(tmp_path, "clipstack-test-transport-bad", {"CLIPSTACK_BIND_ADDRESS": address})
    up = stack.clipstack("up")
    assert up.code == 4, up.err
    assert f"CLIPSTACK_BIND_ADDRESS={address}" in up.err
    assert not list(tmp_path.rglob("stack.env"))


@contextlib.contextmanager
def paused_milvus(stack: Stack) -> Iterator[None]:
    """Milvus is paused meanwhile, and started again: its session may have expired."""
    stack.docker("pause", "milvus")
    try:
        yield
    finally:
        stack.docker("unpause", "milvus")
        stack.docker("restart", "milvus")
        wait_until_healthy(stack, "milvus")


@pytest.mark.parametrize("wait", [2, 7])
def test_one_deadline_for_a_milvus_that_is_silent(filled: Stack, gallery: Path, wait: int) -> None:
    with paused_milvus(filled):
        for command in (*COMMANDS[:2], ("import", gallery)):
            started = time.monotonic()
            ran = run(filled, "--target", "stack", *command, "--wait", str(wait))
            assert time.monotonic() - started < wait + 6
            assert ran.code == 5, ran.err
            assert "it gives no answer" in ran.err


def test_one_deadline_for_a_milvus_that_falls_silent(filled: Stack) -> None:
    with MilvusIndex(f"http://127.0.0.1:{filled.port('MILVUS')}", wait=4) as index:
        assert index.exists("images")
        with paused_milvus(filled):
            started = time.monotonic()
            with pytest.raises(UnreachableError, match="it gives no answer"):
                index.list()
            assert time.monotonic() - started < 10


def test_a_collection_that_is_dropped_when_its_import_starts(filled: Stack, gallery: Path) -> None:
    line = ("--target", "stack", "import", gallery, "--collection", "dropped")
    with MilvusIndex(f"http://127.0.0.1:{filled.port('MILVUS')}", wait=30) as index:
        importing = process(*line, env=filled.environment, cwd=filled.folder)
        try:
            until = time.monotonic() + 60
            while not index.exists("dropped"):
                assert time.monotonic() < until
            index.drop("dropped")
            _, err = importing.communicate(timeout=60)
        finally:
            importing.kill()
    assert importing.returncode in (1, 6), err  # 1: Milvus found it gone while it was made
    assert "new" not in err


def test_a_collection_that_is_dropped_and_made_anew(filled: Stack) -> None:
    with MilvusIndex(f"http://127.0.0.1:{filled.port('MILVUS')}", wait=30) as index:
        index.create("anew", Model(dimension=512), "COSINE")
        collection = index.collection("anew")
        collection.require_exists()
        index.drop("anew")
        index.create("anew", Model(dimension=512), "COSINE")
        with pytest.raises(NotFoundError, match="not there any more"):
            collection.require_exists()
        index.drop("anew")
