"""`status`, `logs`, `stop`, `start`, `restart` and `open` on a running stack."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time

import pytest

from tests.running import MODES, Cli, process
from tests.stack.stacks import SERVICES, Stack, docker, health, wait_until_healthy


@pytest.fixture
def here(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """The stack, for commands in this process too."""
    for name, value in stack.environment.items():
        monkeypatch.setenv(name, value)
    return stack


def test_status(stack: Stack) -> None:
    ran = stack.clipstack("status", "--json")
    assert ran.code == 0, ran.out
    by_name = {service["name"]: service for service in ran.json["services"]}
    assert list(by_name) == list(SERVICES)
    for name, service in by_name.items():
        assert (service["state"], service["health"]) == ("running", "healthy")
        assert service["cpu"] >= 0
        assert 1e6 < service["memory"] < service["memory_limit"]
        assert service["uptime"] > 0
        assert service["restarts"] == 0
        assert service["image"] == stack.variables[f"CLIPSTACK_{name.upper()}_IMAGE"]
    assert by_name["milvus"]["version"] == "2.3.5"
    assert by_name["milvus"]["url"] == f"http://127.0.0.1:{stack.port('MILVUS')}"
    assert by_name["milvus"]["volumes"] == [f"{stack.project}_milvus"]
    assert ran.json["volumes"][f"{stack.project}_etcd"] > 0


@pytest.mark.parametrize("mode", MODES)
def test_status_in_mode(here: Stack, mode: str, cli: Cli) -> None:
    ran = cli("status", mode=mode)
    assert ran.code == 0
    if mode == "human":
        assert f"127.0.0.1:{here.port('BENTOML')}" in ran.text
        assert any(line.split()[:2] == ["milvus", "healthy"] for line in lines_of(ran.out))
    elif mode == "plain":
        assert [line.split("\t")[0] for line in ran.out.splitlines()] == list(SERVICES)
    elif mode == "quiet":
        assert ran.out.split() == list(SERVICES)
        assert ran.err == ""


def lines_of(drawn: str) -> list[str]:
    """What a terminal shows, line by line."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn).splitlines()


def test_status_watch(stack: Stack) -> None:
    running = process("status", "--watch", "--json", env=stack.environment)
    assert running.stdout
    for _ in range(2):
        assert json.loads(running.stdout.readline())["project"] == stack.project
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "Traceback" not in err


def all_logs(stack: Stack, service: str) -> str:
    line = ["docker", "logs", stack.container(service)]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_logs_of_a_service(stack: Stack, service: str) -> None:
    ran = stack.clipstack("logs", service, "--tail", "1")
    assert ran.code == 0
    (line,) = ran.out.splitlines()
    name, text = line.split("\t", 1)
    assert name == service
    assert text in all_logs(stack, service)


def test_logs_are_in_the_order_of_time(stack: Stack) -> None:
    ran = stack.clipstack("logs", "--json")
    lines = [json.loads(line) for line in ran.out.splitlines()]
    times = [line["time"] for line in lines]
    assert times == sorted(times)
    assert {line["service"] for line in lines} == set(SERVICES)
    shown = stack.clipstack("logs", "--timestamps", "etcd", "minio")
    assert {line.split("\t")[1] for line in shown.out.splitlines()} == {"etcd", "minio"}


def test_logs_since(stack: Stack) -> None:
    lines = stack.clipstack("logs", "--json", "etcd").out.splitlines()
    middle = json.loads(lines[len(lines) // 2])["time"]
    later = stack.clipstack("logs", "--json", "etcd", "--since", middle).out.splitlines()
    assert 0 < len(later) < len(lines)
    assert json.loads(later[0])["time"] >= middle
    assert stack.clipstack("logs", "etcd", "--since", "1d", "--json").out.splitlines() == lines
    wrong = stack.clipstack("logs", "--since", "yesterday")
    assert wrong.code == 2
    assert "10m" in wrong.err


@pytest.mark.parametrize("mode", MODES)
def test_logs_in_mode(here: Stack, mode: str, cli: Cli) -> None:
    ran = cli("logs", "--tail", "1", "etcd", "minio", mode=mode)
    assert ran.code == 0
    lines = ran.out.splitlines()
    if mode == "human":
        assert "\x1b[" in ran.out
        assert "etcd  | " in ran.text.replace("etcd |", "etcd  |")
    else:
        assert len(lines) == 2
    if mode == "json":
        assert {json.loads(line)["service"] for line in lines} == {"etcd", "minio"}
    if mode == "quiet":
        assert ran.err == ""
        assert not any(line.startswith("etcd\t") for line in lines)


def test_logs_follow_until_ctrl_c(stack: Stack) -> None:
    line = ("logs", "--follow", "--tail", "0", "bentoml", "--json")
    running = process(*line, env=stack.environment)
    try:
        import httpx

        assert running.stdout
        time.sleep(2)  # it has begun to read
        body = {"texts": ["a line for the log"]}
        url = f"http://127.0.0.1:{stack.port('BENTOML')}/vectorize_texts"
        assert httpx.post(url, json=body, timeout=60).status_code == 200
        line = json.loads(running.stdout.readline())
        assert line["service"] == "bentoml"
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=30)
    finally:
        running.kill()
    assert running.returncode == 130
    assert err == ""


def test_a_service_that_is_none(stack: Stack) -> None:
    for command in ("logs", "stop", "start", "restart", "open"):
        ran = stack.clipstack(command, "mongo", "--json")
        assert ran.code == 6, command
        assert "etcd, minio, milvus" in ran.json["error"]["hint"]


@pytest.mark.parametrize("mode", ["human", "json"])
def test_stop_and_start(here: Stack, mode: str, cli: Cli) -> None:
    stopped = cli("stop", "minio", mode=mode)
    assert stopped.code == 0
    assert docker("inspect", "-f", "{{.State.Running}}", here.container("minio")) == "false"
    assert cli("status", mode=mode).code == 3
    started = cli("start", "minio", mode=mode)
    assert started.code == 0
    assert health(here, "minio") == "healthy"
    if mode == "human":
        assert "healthy" in started.text
    else:
        assert stopped.json["services"] == ["minio"]
        assert started.json["services"][0]["health"] == "healthy"


def test_start_what_runs(here: Stack, cli: Cli) -> None:
    plain = cli("start", "etcd", "minio")
    assert plain.code == 0
    assert "They ran already" in plain.err
    url = f"http://127.0.0.1:{here.port('MINIO')}"
    assert f"minio\t{url}\thealthy" in plain.out.splitlines()
    quiet = cli("start", "minio", mode="quiet")
    assert (quiet.out, quiet.err) == (f"{url}\n", "")


def test_restart(stack: Stack) -> None:
    since = docker("inspect", "-f", "{{.State.StartedAt}}", stack.container("bentoml"))
    ran = stack.clipstack("restart", "bentoml", "--json")
    assert ran.code == 0, ran.out
    assert ran.json["encode"]["model"] == "shapes"
    assert docker("inspect", "-f", "{{.State.StartedAt}}", stack.container("bentoml")) > since
    wait_until_healthy(stack, "bentoml")


def test_open(stack: Stack) -> None:
    ran = stack.clipstack("open", "--json")
    assert ran.code == 0
    assert ran.json["url"] == f"http://127.0.0.1:{stack.port('BENTOML')}/"
    old = stack.clipstack("open", "milvus")
    assert old.code == 6
    assert "2.5" in old.err
    absent = stack.clipstack("open", "attu")
    assert absent.code == 5
    assert "clipstack up attu" in absent.err


def test_not_running(stack_images: None, tmp_path) -> None:
    none = Stack(tmp_path, "clipstack-test-none")
    for command in ("logs", "stop", "start", "restart", "open", "status"):
        ran = none.clipstack(command)
        assert ran.code == 5, command
        assert "clipstack up" in ran.err
