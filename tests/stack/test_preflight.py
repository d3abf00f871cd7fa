"""What is in the way of `clipstack up` is named, with its fix, before anything starts."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import Ran
from tests.serving import free_port
from tests.stack.stacks import Stack, removed

COMMANDS = ("up", "down", "start", "stop", "restart", "status", "logs", "open")


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """A stack that is not started."""
    return Stack(tmp_path / "stack", "clipstack-test-preflight")


@pytest.fixture
def real(stack_images: None, stack: Stack) -> Iterator[Stack]:
    """The same with its images here."""
    with removed(stack):
        yield stack


def nothing_started(stack: Stack) -> None:
    assert stack.container("etcd") == ""
    assert not (stack.folder / "data" / "stacks").exists()
    assert not (stack.folder / "data" / "target.json").exists()


def without_docker(stack: Stack, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    nowhere = f"unix://{folder}/docker.sock"
    stack.variables |= {"PATH": str(folder), "DOCKER_HOST": nowhere}


@pytest.mark.parametrize("command", COMMANDS)
def test_docker_is_not_installed(command: str, stack: Stack, tmp_path: Path) -> None:
    without_docker(stack, tmp_path / "empty")
    ran = stack.clipstack(command)
    assert ran.code == 4
    assert ran.err.splitlines() == [
        "Error: Docker is not installed",
        "Install Docker Engine or Docker Desktop.",
    ]
    assert ran.out == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_docker_is_not_running(command: str, stack: Stack, tmp_path: Path) -> None:
    program(tmp_path / "programs", "exit 1")
    without_docker(stack, tmp_path / "programs")
    ran = stack.clipstack(command, "--json")
    assert ran.code == 4
    assert ran.json["error"]["message"] == "Docker is not running"
    assert "systemctl start docker" in ran.json["error"]["hint"]


def program(folder: Path, body: str) -> None:
    """A `docker` that does this."""
    folder.mkdir(exist_ok=True)
    file = folder / "docker"
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)


def plugin(folder: Path, body: str) -> None:
    """The real `docker`, whose `docker compose` does this."""
    rest = f'exec {shutil.which("docker")} "$@"'
    program(folder, f'if [ "$1" = compose ]; then\n{body}\nfi\n{rest}')


@pytest.fixture
def old_docker() -> Iterator[str]:
    """The address of a Docker daemon of 2019."""
    version = json.dumps({"Version": "19.03.8", "ApiVersion": "1.40"}).encode()

    class Daemon(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(version)))
            self.end_headers()
            self.wfile.write(version)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Daemon) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"tcp://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_docker_is_too_old(stack: Stack, tmp_path: Path, old_docker: str) -> None:
    plugin(tmp_path / "programs", """echo '{"version": "2.26.1"}'; exit""")
    stack.variables |= {"PATH": str(tmp_path / "programs"), "DOCKER_HOST": old_docker}
    ran = stack.clipstack("up", "--json")
    assert ran.code == 4
    assert ran.json["error"]["message"] == "Docker 19.03.8 is too old"
    assert "20.10 or newer" in ran.json["error"]["hint"]


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("""echo '{"version": "v2.17.3"}'; exit""", "Docker Compose v2.17.3 is too old"),
        (
            """echo "docker: 'compose' is not a docker command." >&2; exit 1""",
            "`docker compose` is not installed",
        ),
    ],
)
def test_compose_can_not_be_used(body: str, message: str, stack: Stack, tmp_path: Path) -> None:
    plugin(tmp_path / "programs", body)
    stack.variables["PATH"] = str(tmp_path / "programs")
    ran = stack.clipstack("up", "--json")
    assert ran.code == 4
    assert ran.json["error"]["message"] == message
    assert "docker-compose-plugin" in ran.json["error"]["hint"]


def test_a_program_holds_a_port(real: Stack) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", real.port("MILVUS")))
        holder.listen()
        ran = real.clipstack("up")
    assert ran.code == 4
    assert f"port {real.port('MILVUS')}, which " in ran.err
    assert f"(process {os.getpid()}) holds" in ran.err
    fix = ran.err.splitlines()[1].strip("` ")
    assert fix.startswith("CLIPSTACK_MILVUS_PORT=")
    assert fix.endswith(" clipstack up")
    nothing_started(real)


def test_another_stack_holds_a_port(real: Stack, tmp_path: Path) -> None:
    with removed(Stack(tmp_path / "other", "clipstack-test-holder")) as other:
        assert other.clipstack("up", "etcd", "--json").code == 0
        real.variables["CLIPSTACK_ETCD_PORT"] = str(other.port("ETCD"))
        ran = real.clipstack("up", "--json")
        own = other.clipstack("up", "etcd", "--json")
    assert ran.code == 4
    message = ran.json["error"]["message"]
    assert (
        "the container clipstack-test-holder-etcd-1 of the stack clipstack-test-holder" in message
    )
    assert "CLIPSTACK_ETCD_PORT=" in ran.json["error"]["hint"]
    nothing_started(real)
    assert own.code == 0, "its own container may hold its port"


def test_everything_in_the_way_is_named_at_once(real: Stack) -> None:
    real.variables |= {
        "CLIPSTACK_MILVUS_HEALTH_PORT": str(real.port("MILVUS")),
        "CLIPSTACK_MINIO_PORT": "70000",
        "CLIPSTACK_BENTOML_IMAGE": "clipstack-test/nothing:here",
    }
    ran = real.clipstack("up")
    assert ran.code == 4
    assert "3 things are in the way" in ran.err
    assert "both ask for port" in ran.err
    assert "CLIPSTACK_MINIO_PORT=70000 is not a port" in ran.err
    assert "clipstack build --tag clipstack-test/nothing:here" in ran.err
    nothing_started(real)


def test_the_encoders_image_is_missing(real: Stack) -> None:
    real.variables["CLIPSTACK_BENTOML_IMAGE"] = "clipstack-test/nothing:here"
    ran = real.clipstack("up", "--json")
    assert ran.code == 4
    assert "there is no image clipstack-test/nothing:here" in ran.json["error"]["message"]
    assert "clipstack build --tag clipstack-test/nothing:here" in ran.json["error"]["hint"]
    nothing_started(real)
    without = real.clipstack("up", "etcd", "--dry-run", "--json")
    assert without.code == 0, "etcd alone needs none"


def test_an_address_of_another_machine(real: Stack) -> None:
    real.variables["CLIPSTACK_BIND_ADDRESS"] = "203.0.113.7"
    ran = real.clipstack("up")
    assert ran.code == 4
    assert "203.0.113.7 is not an address of this machine" in ran.err
    nothing_started(real)


def test_open_to_others_is_said(real: Stack) -> None:
    real.variables["CLIPSTACK_BIND_ADDRESS"] = "0.0.0.0"
    ran = real.clipstack("up", "--dry-run")
    assert ran.code == 0
    assert "Milvus asks for a password, etcd does not" in ran.err
    real.variables["CLIPSTACK_MILVUS_AUTHORIZATION"] = "false"
    assert "Milvus and etcd ask for no password" in real.clipstack("up", "--dry-run").err


def test_a_dry_run_starts_nothing(real: Stack) -> None:
    real.variables |= {
        "CLIPSTACK_ENCODER_TOKEN": "a-secret-of-mine",
        "CLIPSTACK_ATTU_IMAGE": "localhost:1/attu:1",
    }
    ran = real.clipstack("up", "--dry-run", "--attu", "--json")
    assert ran.code == 0, ran.err
    plan = ran.json
    actions = {service["name"]: service["action"] for service in plan["services"]}
    assert actions["milvus"] == "started"
    assert actions["attu"] == "fetched and started"
    ports = {name: port for service in plan["services"] for name, port in service["ports"].items()}
    assert ports["CLIPSTACK_MILVUS_PORT"] == str(real.port("MILVUS"))
    assert plan["variables"]["CLIPSTACK_ENCODER_TOKEN"] == "(set)"
    assert "a-secret-of-mine" not in ran.out + ran.err
    nothing_started(real)
    shown: Ran = real.clipstack("up", "--dry-run", "bentoml", "--quiet")
    assert shown.out == "bentoml\n"
    assert real.clipstack("up", "--dry-run", "bento").code == 6


def test_an_image_that_can_not_be_fetched(real: Stack) -> None:
    real.variables["CLIPSTACK_ETCD_IMAGE"] = f"localhost:{free_port()}/etcd:1"
    ran = real.clipstack("up", "etcd", "--json")
    assert ran.code == 4
    assert "an image can't be fetched" in ran.json["error"]["message"]
    assert "docker load" in ran.json["error"]["hint"]
