"""What `docker` uses, all of clipstack uses: one engine, or an error; never another engine."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import Ran
from tests.serving import free_port
from tests.stack import engines
from tests.stack.engines import Engine
from tests.stack.stacks import Stack

pytestmark = pytest.mark.usefixtures("engine")

PROJECT = "clipstack-test-choice"
BRIDGE = "clipstack-2nd0"
OURS = {f"{PROJECT}_{name}" for name in engines.VOLUMES}
DEFAULT = Engine("unix:///var/run/docker.sock", "", Path())
# What makes Python's libraries trust, or go through, something else.
ASTRAY = {
    "REQUESTS_CA_BUNDLE": "/nowhere/ca.pem",
    "CURL_CA_BUNDLE": "/nowhere/ca.pem",
    "SSL_CERT_FILE": "/nowhere/ca.pem",
    "http_proxy": "http://127.0.0.1:9",
    "ALL_PROXY": "socks5://127.0.0.1:9",
}


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Another engine on this machine; contexts `prod`, current, and `tls` are it."""
    folder = tmp_path_factory.mktemp("second")
    # A bridge of its own: with none, dockerd deletes docker0, which is the first engine's.
    with (
        bridge(),
        engines.running_engine(folder, f"--bridge={BRIDGE}", "--iptables=false") as engine,
    ):
        config, files = folder / "config", engine.certificates
        engines.make_context(config, "prod", f"host={engine.socket}")
        tls = ",".join(f"{name}={files}/{name}.pem" for name in ("ca", "cert", "key"))
        engines.make_context(config, "tls", f"host={engine.tcp},{tls}")
        engines.make_context(config, "no-certificates", f"host={engine.tcp}")
        engines.make_context(config, "nobody", f"host=tcp://127.0.0.1:{free_port()}")
        engines.context_command(config, "use", "prod")
        engine.docker_config = config
        yield engine


@contextlib.contextmanager
def bridge() -> Iterator[None]:
    ip = functools.partial(subprocess.run, capture_output=True)
    ip(["ip", "link", "del", BRIDGE], check=False)
    ip(["ip", "link", "add", BRIDGE, "type", "bridge"], check=True)
    ip(["ip", "addr", "add", "10.213.8.1/24", "dev", BRIDGE], check=True)
    try:
        yield
    finally:
        ip(["ip", "link", "del", BRIDGE], check=False)


@pytest.fixture
def stack(tmp_path: Path, second: Engine) -> Iterator[Stack]:
    """Volumes of one name in both engines; `prod` is the current context."""
    variables = {"DOCKER_CONFIG": str(second.docker_config)}
    stack = Stack(tmp_path / "stack", PROJECT, variables)
    for engine in (DEFAULT, second):
        engine.make_volumes(PROJECT)
    try:
        yield stack
    finally:
        for engine in (DEFAULT, second):
            engine.remove(PROJECT)


def delete(stack: Stack, **variables: str) -> Ran:
    return engines.ran(stack, variables, "down", "--volumes", "--yes", "--json")


def test_what_is_not_there_is_an_error(stack: Stack, second: Engine, tmp_path: Path) -> None:
    """Each says what to type, and touches neither the current context's engine nor another."""
    broken, gone, lost = tmp_path / "broken", tmp_path / "gone", tmp_path / "lost"
    for folder in (broken, gone):
        folder.mkdir()
    (broken / "config.json").write_text("{bad")
    (gone / "config.json").write_text('{"currentContext": "gone"}')
    shutil.copytree(second.docker_config, lost)
    for file in lost.glob("contexts/meta/*/meta.json"):
        if '"tls"' in file.read_text():
            file.write_text("{")
    for variables, words in (
        ({"DOCKER_CONTEXT": "dead"}, "'dead', which DOCKER_CONTEXT names"),
        ({"DOCKER_CONTEXT": "nobody"}, "context nobody"),
        ({"DOCKER_CONTEXT": "no-certificates"}, "HTTP request to an HTTPS server"),
        ({"DOCKER_CONTEXT": "tls", "DOCKER_CONFIG": str(lost)}, "settings can't be read"),
        ({"DOCKER_CONFIG": str(broken)}, "settings can't be read"),
        ({"DOCKER_CONFIG": str(gone)}, "'gone'"),
        ({"DOCKER_HOST": "unix:///nowhere/docker.sock"}, "Docker is not running"),
        ({"DOCKER_HOST": f"tcp://127.0.0.1:{free_port()}"}, "refused"),
        ({"DOCKER_HOST": "nonsense://x"}, "Docker can't use DOCKER_HOST"),
        ({"DOCKER_HOST": "ssh://me@nobody.invalid"}, "nobody.invalid"),
        ({"DOCKER_TLS_VERIFY": "1", "DOCKER_CONTEXT": "default"}, "DOCKER_TLS_VERIFY"),
        ({"DOCKER_HOST": second.tcp, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/nowhere"},
         "DOCKER_CERT_PATH"),
    ):  # fmt: skip
        ran = delete(stack, **variables)
        assert ran.code == 4, (variables, ran.out)
        error = ran.json["error"]
        assert words in error["message"], variables
        assert error["hint"], variables
        assert second.volumes(PROJECT) == DEFAULT.volumes(PROJECT) == OURS, variables


@pytest.mark.parametrize(
    "way",
    ["current", "context", "TLS context", "socket", "TCP", "ssh", "ssh context"],
)
def test_each_way_to_choose_an_engine(
    way: str, stack: Stack, second: Engine, tmp_path: Path
) -> None:
    folder = engines.fake_ssh(tmp_path / "ssh", second, "127.0.0.1")
    engines.make_context(tmp_path / "config", "far", "host=ssh://me@build")
    by_ssh = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    ways: dict[str, dict[str, str]] = {
        "current": {},
        "context": {"DOCKER_CONTEXT": "prod"},
        "TLS context": {"DOCKER_CONTEXT": "tls"},
        "socket": {"DOCKER_HOST": second.socket, "DOCKER_CONTEXT": "dead"},
        "TCP": {
            "DOCKER_HOST": second.tcp,
            "DOCKER_TLS_VERIFY": "1",
            "DOCKER_CERT_PATH": str(second.certificates),
        },
        "ssh": {"DOCKER_HOST": "ssh://me@build", **by_ssh},
        "ssh context": {
            "DOCKER_CONFIG": str(tmp_path / "config"),
            "DOCKER_CONTEXT": "far",
            **by_ssh,
        },
    }
    variables = ways[way]
    question = engines.ran(stack, variables, "down", "--volumes", "--json")
    assert question.code == 8
    named = (
        variables.get("DOCKER_HOST")
        or {
            "TLS context": "(context tls, from DOCKER_CONTEXT)",
            "current": "(context prod)",
            "context": "(context prod, from DOCKER_CONTEXT)",
            "ssh context": "ssh://me@build (context far, from DOCKER_CONTEXT)",
        }[way]
    )
    assert named in question.json["error"]["message"]
    ran = delete(stack, **variables, **ASTRAY)
    assert ran.code == 0, ran.out + ran.err
    assert named in ran.json["docker"]
    assert named in ran.err, "it is named before anything is deleted"
    assert set(ran.json["volumes"]) == OURS
    assert second.volumes(PROJECT) == set()
    assert DEFAULT.volumes(PROJECT) == OURS
    if "ssh" in way:
        processes = (folder / "log").read_text().split()
        assert processes
        assert not any(is_running(number) for number in processes)


def is_running(process: str) -> bool:
    until = time.monotonic() + 10
    while Path("/proc", process).exists() and time.monotonic() < until:
        time.sleep(0.1)
    return Path("/proc", process).exists()


def test_the_default_is_chosen_by_name(stack: Stack, second: Engine) -> None:
    ran = delete(stack, DOCKER_CONTEXT="default")
    assert ran.code == 0, ran.out
    assert set(ran.json["volumes"]) == OURS
    assert DEFAULT.volumes(PROJECT) == set()
    assert second.volumes(PROJECT) == OURS


def test_the_engine_is_named(stack: Stack, second: Engine) -> None:
    question = engines.ran(stack, {"DOCKER_CONTEXT": "default"}, "down", "--volumes", "--json")
    assert DEFAULT.socket in question.json["error"]["message"]
    for command in (("status",), ("down",), ("up", "--dry-run")):
        ran = engines.ran(stack, {}, *command, "-v")
        assert f"Docker: {second.socket} (context prod)" in ran.err, command


def test_doctor_names_the_engine_and_what_is_overridden(stack: Stack, second: Engine) -> None:
    def checks(**variables: str) -> dict[str, dict[str, str]]:
        report = engines.ran(stack, variables, "doctor", "--json").json
        (group,) = [group for group in report["groups"] if group["name"] == "Docker"]
        return {check["name"]: check for check in group["checks"]}

    assert f"{second.socket} (context prod)" in checks()["Docker"]["message"]
    assert "context" not in checks()
    overridden = checks(DOCKER_HOST=DEFAULT.socket)
    assert "(from DOCKER_HOST)" in overridden["Docker"]["message"]
    assert overridden["context"]["level"] == "warn"
    assert "overrides the context prod" in overridden["context"]["message"]
    assert "there is no Docker context" in checks(DOCKER_CONTEXT="dead")["Docker"]["message"]


def test_compose_and_the_library_use_one_engine(
    stack: Stack, second: Engine, stack_images: None, tmp_path: Path
) -> None:
    """What Compose makes, the library sees, and the other engine has none of it."""
    archive = tmp_path / "etcd.tar"
    DEFAULT.docker("save", "-o", str(archive), stack.variables["CLIPSTACK_ETCD_IMAGE"])
    second.docker("load", "-i", str(archive))
    label = ("--filter", f"label={engines.LABEL}={PROJECT}")
    for variables, used, other in (
        ({}, second, DEFAULT),
        ({"DOCKER_CONTEXT": "tls"}, second, DEFAULT),
        ({"DOCKER_HOST": second.socket}, second, DEFAULT),
        ({"DOCKER_CONTEXT": "default"}, DEFAULT, second),
    ):
        ran = engines.ran(stack, {**variables, **ASTRAY}, "up", "etcd", "--timeout", "60", "--json")
        assert ran.code == 0, ran.out + ran.err
        assert len(used.docker("ps", "-q", *label).split()) == 1
        assert other.docker("ps", "-aq", *label) == ""
        assert other.docker("network", "ls", "-q", *label) == ""
        status = engines.ran(stack, variables, "status", "--json").json
        assert status["services"][0]["state"] == "running"
        down = engines.ran(stack, variables, "down", "--json")
        assert down.json["services"] == ["etcd"]
        assert used.docker("ps", "-aq", *label) == ""


def test_an_engine_that_says_nothing_ends_with_its_connections(stack: Stack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        ran = delete(stack, DOCKER_HOST=f"tcp://127.0.0.1:{port}")
    assert ran.code == 4
    assert "no answer" in ran.json["error"]["message"]
    left = [file for file in Path("/proc").glob("[0-9]*/environ") if has(file, port)]
    assert not left


def has(environ: Path, port: int) -> bool:
    with contextlib.suppress(OSError):
        return f"DOCKER_HOST=tcp://127.0.0.1:{port}".encode() in environ.read_bytes()
    return False
