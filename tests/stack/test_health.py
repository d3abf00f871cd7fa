"""`clipstack health` tells the truth about a real stack, whatever is done to it."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.running import Ran
from tests.serving import free_port
from tests.stack.stacks import (
    PORTS,
    SERVICES,
    Stack,
    compose_up,
    docker,
    removed,
    wait_until_healthy,
)

NO_DOCKER = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
PORT_OF = {"etcd": "ETCD", "minio": "MINIO", "milvus": "MILVUS", "bentoml": "BENTOML"}


def health(stack: Stack, *args: object, **variables: str) -> Ran:
    """`clipstack health --json` with some variables of its own; it must end soon."""
    seen = replace(stack, variables=stack.variables | variables)
    return seen.clipstack("--target", "stack", "health", "--json", *args, timeout=150)


def services(ran: Ran) -> dict[str, dict]:
    return {service["name"]: service for service in ran.json["services"]}


@contextlib.contextmanager
def mended(stack: Stack, service: str, verb: str) -> Iterator[None]:
    """Whatever is done inside to a service, `verb` makes good; goes on when all is well again."""
    try:
        yield
    finally:
        stack.docker(verb, service)
        ran = health(stack, "--wait")
        assert ran.code == 0, ran.out


@pytest.fixture(scope="module")
def filled(stack: Stack, gallery: Path) -> Stack:
    """The stack with forty pictures."""
    ran = stack.clipstack("--target", "stack", "import", gallery)
    assert ran.code == 0, ran.err
    return stack


def test_all_is_well(filled: Stack) -> None:
    ran = health(filled)
    assert ran.code == 0, ran.out
    assert ran.json["target"] == "stack"
    assert ran.json["healthy"] is True
    by_name = services(ran)
    assert list(by_name) == list(SERVICES)
    assert {service["status"] for service in by_name.values()} == {"ok"}
    assert all(service["latency_ms"] > 0 for service in by_name.values())
    assert {name: service["version"] for name, service in by_name.items()} == {
        "etcd": "3.5.16",
        "minio": "1.75",
        "milvus": "2.3.5-lite",
        "bentoml": "shapes",
    }
    assert by_name["milvus"]["reason"] == "images answers: 40 rows"
    for name, port in PORT_OF.items():
        assert by_name[name]["url"] == f"http://127.0.0.1:{filled.port(port)}"


def test_only_some_services(filled: Stack) -> None:
    ran = health(filled, "minio", "etcd")
    assert list(services(ran)) == ["etcd", "minio"]
    ran = health(filled, "postgres")
    assert ran.code == 6
    assert "bentoml" in ran.json["error"]["hint"]


def test_deep_writes_and_leaves_nothing(filled: Stack) -> None:
    ran = health(filled, "--deep")
    assert ran.code == 0, ran.out
    listed = filled.clipstack("--target", "stack", "collections", "list", "-q")
    assert listed.out == "images\n"
    buckets = docker("exec", filled.container("minio"), "ls", "/minio_data").split()
    assert buckets == ["a-bucket"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_stopped_service(filled: Stack, service: str) -> None:
    with mended(filled, service, "start"):
        filled.docker("stop", service)
        ran = health(filled)
        assert ran.code == 3
        by_name = services(ran)
        assert by_name[service]["status"] == "down"
        assert by_name[service]["reason"].startswith("stopped (exit ")
        assert f"`clipstack start {service}`" in by_name[service]["hint"]
        assert by_name[service]["latency_ms"] is None
        _others_are_well(by_name, service)


@pytest.mark.parametrize("service", SERVICES)
def test_a_paused_service(filled: Stack, service: str) -> None:
    with mended(filled, service, "unpause"):
        filled.docker("pause", service)
        ran = health(filled)
        by_name = services(ran)
        assert ran.code == 3
        assert by_name[service]["status"] == "down"
        assert by_name[service]["reason"] == "paused"
        assert by_name[service]["hint"] == f"`docker unpause {_name(filled, service)}`"
        _others_are_well(by_name, service)
        # Without Docker: the port takes connections, and nothing answers.
        ran = health(filled, service, "--timeout", 1, **NO_DOCKER)
        assert ran.code == 5
        assert "takes connections, but gives no answer" in services(ran)[service]["reason"]


def _others_are_well(by_name: dict[str, dict], service: str) -> None:
    """Every other service is well, except Milvus if it depends on this one."""
    if service in ("etcd", "minio"):
        milvus = by_name.pop("milvus")
        named = {"etcd": "etcd", "minio": "its object store"}[service]
        assert milvus["status"] == "degraded"
        assert f"{named} does not" in milvus["reason"]
        assert milvus["hint"] == by_name[service]["hint"]
    assert {other["status"] for name, other in by_name.items() if name != service} == {"ok"}


def _name(stack: Stack, service: str) -> str:
    return docker("inspect", "-f", "{{.Name}}", stack.container(service)).lstrip("/")


def test_milvus_answers_but_its_object_store_is_gone(filled: Stack) -> None:
    with mended(filled, "minio", "start"):
        filled.docker("kill", "minio")
        ran = health(filled, "milvus")
        assert ran.code == 3
        milvus = services(ran)["milvus"]
        assert milvus["status"] == "degraded"
        assert milvus["reason"] == (
            "answers, but its object store does not: writes and loads will fail"
        )
        assert "`clipstack start minio`" in milvus["hint"]


def test_a_service_whose_model_does_not_load(filled: Stack, tmp_path: Path) -> None:
    container = filled.container("bentoml")
    find = ["find", "/home", "-path", "*clip_model*", "-name", "image.xml"]
    weights = docker("exec", container, *find)
    assert weights
    (tmp_path / "broken").write_bytes(b"no graph")
    (tmp_path / "broken").chmod(0o644)
    port = free_port()
    line = ["run", "--rm", "--detach", "--publish", f"127.0.0.1:{port}:3000"]
    line += ["--volume", f"{tmp_path / 'broken'}:{weights}:ro"]
    broken = docker(*line, filled.variables["CLIPSTACK_BENTOML_IMAGE"])
    try:
        for _ in range(60):
            ran = health(filled, "bentoml", CLIPSTACK_BENTOML_PORT=str(port))
            encoder = services(ran)["bentoml"]
            if "can't be loaded" in encoder["reason"]:
                break
            # Until then it does not answer, or is loading: never is it well.
            assert encoder["status"] in ("down", "degraded")
        assert ran.code == 3
        assert encoder["status"] == "degraded"
        assert "alive, but the model can't be loaded" in encoder["reason"]
        assert "damaged" in encoder["reason"]
    finally:
        docker("rm", "--force", broken)


def test_a_service_that_has_just_been_started(filled: Stack) -> None:
    with mended(filled, "bentoml", "start"):
        seen: list[str] = []
        for _ in range(5):  # a busy machine may look only when the service is ready again
            filled.docker("restart", "bentoml")
            while len(seen) < 60 and seen[-1:] != ["ok"]:
                encoder = services(health(filled, "bentoml"))["bentoml"]
                seen.append(encoder["status"])
                if encoder["status"] != "ok":
                    assert encoder["reason"]
                    assert "clipstack health" in encoder["hint"]
            if seen[0] != "ok":
                break
            seen.clear()
        assert seen, "it was never seen while it started"
        assert seen[-1] == "ok"


def test_other_keys_for_the_object_store(filled: Stack) -> None:
    for variable in ("CLIPSTACK_MINIO_PASSWORD", "CLIPSTACK_MINIO_USER"):
        ran = health(filled, **{variable: "another-one"})
        assert ran.code == 3
        minio = services(ran)["minio"]
        assert minio["status"] == "degraded"
        assert "refuses the keys" in minio["reason"]
        assert "CLIPSTACK_MINIO_PASSWORD" in minio["hint"]
        assert "another-one" not in ran.out + ran.err
        assert services(ran)["milvus"]["status"] == "ok"


def test_objects_in_a_bucket_elsewhere(filled: Stack) -> None:
    elsewhere = {
        "CLIPSTACK_S3_ADDRESS": f"127.0.0.1:{filled.port('MINIO')}",
        "CLIPSTACK_S3_BUCKET": "a-bucket",
        "CLIPSTACK_S3_TLS": "false",
        "CLIPSTACK_S3_ACCESS_KEY": filled.variables["CLIPSTACK_MINIO_USER"],
        "CLIPSTACK_S3_SECRET_KEY": filled.variables["CLIPSTACK_MINIO_PASSWORD"],
    }
    ran = health(filled, **elsewhere)
    assert ran.code == 0, ran.out
    assert list(services(ran)) == ["s3", "etcd", "milvus", "bentoml"]
    for change, reason in (
        ({"CLIPSTACK_S3_BUCKET": "another"}, "there is no bucket another"),
        ({"CLIPSTACK_S3_SECRET_KEY": "wrong"}, "it refuses the key"),
        ({"CLIPSTACK_S3_ADDRESS": f"127.0.0.1:{free_port()}"}, "can't be reached from this"),
    ):
        ran = health(filled, **elsewhere | change)
        by_name = services(ran)
        assert ran.code == 3
        assert by_name["s3"]["status"] == "degraded"
        assert reason in by_name["s3"]["reason"]
        assert by_name["milvus"]["status"] == "ok"


def test_docker_is_stopped_and_the_services_answer(filled: Stack) -> None:
    ran = health(filled, **NO_DOCKER)
    assert ran.code == 0, ran.out
    assert ran.json["docker"]["reason"] == "Docker is not running"
    assert ran.err.count("Docker is not running") == 1
    assert "start docker" in ran.err


def test_docker_is_stopped_and_nothing_answers(filled: Stack) -> None:
    closed = {f"CLIPSTACK_{name}_PORT": str(free_port()) for name in PORTS}
    ran = health(filled, **NO_DOCKER, **closed)
    assert ran.code == 5
    assert ran.err.count("Docker is not running") == 1
    assert all("nothing listens" in service["reason"] for service in services(ran).values())


def test_a_stack_that_was_never_started(filled: Stack) -> None:
    closed = {f"CLIPSTACK_{name}_PORT": str(free_port()) for name in PORTS}
    ran = health(filled, CLIPSTACK_PROJECT="clipstack-never-started", **closed)
    assert ran.code == 5
    for service in services(ran).values():
        assert (service["status"], service["reason"]) == ("down", "not created")
        assert service["hint"] == "`clipstack up`"


def test_what_docker_says_of_a_container(filled: Stack) -> None:
    """One that exits again and again, one that ran out of memory, one that was never started."""
    project = "clipstack-test-health-crash"
    closed = {f"CLIPSTACK_{name}_PORT": str(free_port()) for name in PORTS}
    crash = Stack(filled.folder / "crash", project, closed)
    image = filled.variables["CLIPSTACK_ETCD_IMAGE"]

    def start(verb: str, service: str, *line: str) -> None:
        labels = {"project": project, "service": service, "oneoff": "False"}
        named = [f"--label=com.docker.compose.{name}={value}" for name, value in labels.items()]
        docker(verb, *named, *line)

    with removed(crash):
        background = ("--detach", "--entrypoint=sh")
        start("run", "etcd", "--restart=always", *background, image, "-c", "exit 7")
        eat = "head -c 300000000 /dev/zero | tail"
        start("run", "milvus", "--memory=20m", *background, image, "-c", eat)
        start("create", "bentoml", image)
        time.sleep(3)
        ran = health(crash)
        by_name = services(ran)
        assert ran.code == 5
        assert re.match(r"restart(ing|ed),? .*(once|twice|times)", by_name["etcd"]["reason"])
        assert by_name["etcd"]["hint"] == "`clipstack logs etcd` says why."
        assert by_name["milvus"]["reason"] == "stopped: out of memory (exit 137)"
        assert "CLIPSTACK_MILVUS_MEMORY" in by_name["milvus"]["hint"]
        assert by_name["bentoml"]["reason"] == "created, but not started"
        assert by_name["bentoml"]["hint"] == "`clipstack start bentoml`"
        assert by_name["minio"]["reason"] == "not created"


def test_a_named_target_with_two_encoders(filled: Stack) -> None:
    closed = free_port()
    (filled.folder / "clipstack.toml").write_text(
        f"""
        [targets.far]
        milvus_uri = "http://127.0.0.1:{filled.port("MILVUS")}"
        encoder_url = ["http://127.0.0.1:{filled.port("BENTOML")}", "http://127.0.0.1:{closed}"]
        """
    )
    try:
        ran = filled.clipstack("--target", "far", "health", "--json")
        by_name = services(ran)
        assert ran.code == 3
        assert {name: service["status"] for name, service in by_name.items()} == {
            "milvus": "ok",
            "encoder-1": "ok",
            "encoder-2": "down",
        }
        assert by_name["encoder-1"]["version"] == "shapes"
        assert "[targets.far]" in by_name["encoder-2"]["hint"]
        assert filled.clipstack("--target", "far", "health", "encoder-1").code == 0
    finally:
        (filled.folder / "clipstack.toml").unlink()


def test_waiting_ends_when_time_is_up(filled: Stack) -> None:
    with mended(filled, "bentoml", "unpause"):
        filled.docker("pause", "bentoml")
        ran = health(filled, "--wait", "--timeout", 3)
        assert ran.code == 3
        assert services(ran)["bentoml"]["reason"] == "paused"
        assert ran.err.count("Waiting for bentoml: paused") == 1


def test_modes(filled: Stack) -> None:
    with mended(filled, "bentoml", "unpause"):
        filled.docker("pause", "bentoml")
        line = ("--target", "stack", "health")
        quiet = filled.clipstack(*line, "-q")
        assert (quiet.code, quiet.out, quiet.err) == (3, "bentoml\n", "")
        plain = [row.split("\t") for row in filled.clipstack(*line).out.splitlines()]
        assert [row[:2] for row in plain[:3]] == [["etcd", "ok"], ["minio", "ok"], ["milvus", "ok"]]
        assert plain[3][:2] == ["bentoml", "down"]
        assert plain[3][5] == "paused"
    assert filled.clipstack(*line, "-q").out == ""


@pytest.fixture(scope="module")
def guarded(filled: Stack) -> Stack:
    """The stack with a Milvus and an encoder that ask for tokens; from here on they do."""
    filled.variables |= {
        "CLIPSTACK_MILVUS_AUTHORIZATION": "true",
        "CLIPSTACK_ENCODER_TOKEN": "the-right-one",
    }
    compose_up(filled)
    wait_until_healthy(filled, *SERVICES)
    return filled


def test_tokens(guarded: Stack) -> None:
    none = services(health(guarded, "--wait", "--timeout", 4, CLIPSTACK_ENCODER_TOKEN=""))
    assert (none["milvus"]["status"], none["bentoml"]["status"]) == ("degraded", "degraded")
    assert none["milvus"]["reason"] == "it asks for a token"
    assert none["bentoml"]["reason"] == "it asks for a token"
    assert "CLIPSTACK_MILVUS_TOKEN" in none["milvus"]["hint"]
    assert "CLIPSTACK_ENCODER_TOKEN" in none["bentoml"]["hint"]

    others = {"CLIPSTACK_MILVUS_TOKEN": "root:wrong", "CLIPSTACK_ENCODER_TOKEN": "wrong-too"}
    ran = health(guarded, **others)
    wrong = services(ran)
    assert ran.code == 3
    for name in ("milvus", "bentoml"):
        assert wrong[name]["status"] == "degraded"
        assert wrong[name]["reason"] == "it does not accept the token"
    assert not [value for value in others.values() if value in ran.out + ran.err]

    right = health(guarded, "--wait", CLIPSTACK_MILVUS_TOKEN="root:Milvus")
    assert right.code == 0, right.out
