"""`clipstack doctor` on a real engine: what it finds, what it says to do, what it gives away."""

from __future__ import annotations

import base64
import shlex
import socket
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from docker import DockerClient

from tests.running import Ran
from tests.serving import free_port
from tests.stack.stacks import Stack, compose_up, docker, removed

NO_DOCKER = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
LABEL = "--label=com.docker.compose."


@pytest.fixture(scope="module")
def half(stack_images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of which etcd and the object store run."""
    with removed(Stack(tmp_path_factory.mktemp("doctor"), "clipstack-test-doctor")) as stack:
        compose_up(stack, "etcd", "minio")
        yield stack


def doctor(stack: Stack, *args: object, target: str = "stack", **variables: str) -> Ran:
    seen = replace(stack, variables=stack.variables | variables)
    return seen.clipstack("--target", target, "doctor", "--json", *args)


def checks(ran: Ran, group: str) -> dict[str, dict]:
    groups = {group["name"]: group["checks"] for group in ran.json["groups"]}
    return {check["name"]: check for check in groups.get(group, [])}


def test_a_machine_without_faults(half: Stack) -> None:
    ran = doctor(half)
    assert ran.code == 0, ran.out
    assert ran.json["ok"] is True
    assert checks(ran, "Docker")["Docker"]["message"].startswith("Docker ")
    assert checks(ran, "Docker")["Compose"]["level"] == "ok"
    ports = checks(ran, "ports")
    assert "held by this stack" in ports[f"port {half.port('ETCD')}"]["message"]
    assert "free" in ports[f"port {half.port('MILVUS')}"]["message"]
    assert {check["level"] for check in checks(ran, "images").values()} == {"ok"}
    assert "its image is 2.3.5" in checks(ran, "Milvus")["Milvus"]["message"]
    assert "agree" in checks(ran, "clock")["clock"]["message"]
    assert not any(half.project in name for name in checks(ran, "leftovers"))


def test_a_port_that_another_program_holds(half: Stack) -> None:
    with socket.create_server(("127.0.0.1", half.port("MILVUS"))):
        ran = doctor(half)
    assert ran.code == 4
    check = checks(ran, "ports")[f"port {half.port('MILVUS')}"]
    assert check["level"] == "fail"
    assert "python" in check["message"]
    assert "CLIPSTACK_MILVUS_PORT=" in check["fix"]


def test_docker_is_stopped(half: Stack) -> None:
    ran = doctor(half, **NO_DOCKER)
    assert ran.code == 4
    assert checks(ran, "Docker")["Docker"]["level"] == "fail"
    assert "start docker" in checks(ran, "Docker")["Docker"]["fix"]
    assert checks(ran, "versions")["clipstack"]["level"] == "ok"

    ran = doctor(half, target="embedded", **NO_DOCKER)
    assert ran.code == 0, ran.out
    assert checks(ran, "Docker")["Docker"]["level"] == "warn"
    assert "only the stack needs it" in checks(ran, "Docker")["Docker"]["message"]


def test_images_that_are_not_here(half: Stack) -> None:
    ran = doctor(half, CLIPSTACK_BENTOML_IMAGE="clipstack-test/none:1")
    assert ran.code == 4
    assert "clipstack build" in checks(ran, "images")["image clipstack-test/none:1"]["fix"]

    registry = f"localhost:{free_port()}"
    ran = doctor(half, CLIPSTACK_MINIO_IMAGE=f"{registry}/minio:1")
    check = checks(ran, "images")[f"registry {registry}"]
    assert check["level"] == "warn"
    assert f"{registry}/minio:1" in check["message"]


def test_a_stack_that_nobody_knows_of(half: Stack) -> None:
    """What is left of it is reported, and the fix removes it."""
    lost = Stack(half.folder / "lost", "clipstack-test-doctor-lost")
    with removed(lost):
        for name in ("etcd", "minio", "milvus"):
            labels = [f"{LABEL}project={lost.project}", f"{LABEL}volume={name}"]
            docker("volume", "create", *labels, f"{lost.project}_{name}")
        check = checks(doctor(half), "leftovers")[f"stack {lost.project}"]
        assert check["level"] == "warn"
        assert "3 volumes" in check["message"]
        line = shlex.split(check["fix"].split("`")[1])
        subprocess.run(line, check=True, capture_output=True)
        assert f"stack {lost.project}" not in checks(doctor(half), "leftovers")
        assert lost.project not in docker("volume", "ls", "-q")


def test_two_networks_of_one_name(half: Stack) -> None:
    lost = Stack(half.folder / "twins", "clipstack-test-doctor-twins")
    with removed(lost):
        name = f"{lost.project}_default"
        labels = {
            f"com.docker.compose.{key}": value
            for key, value in (("project", lost.project), ("network", "default"))
        }
        api = DockerClient.from_env().api
        for _ in range(2):
            api.create_network(name, labels=labels, check_duplicate=False)
        assert lost.clipstack("config", "show").code == 0
        file = lost.folder / "data" / "stacks" / lost.project / "stack.env"
        file.parent.mkdir(parents=True)
        file.touch()
        check = checks(doctor(lost), "leftovers")[f"network {name}"]
        assert check["level"] == "fail"
        assert "2 networks" in check["message"]
        assert "`clipstack up" in check["fix"]
        assert lost.clipstack("up", "etcd").code == 0
        assert f"network {name}" not in checks(doctor(lost), "leftovers")


def test_what_is_left_of_known_stacks(half: Stack) -> None:
    stacks = half.folder / "data" / "stacks"
    for name in (half.project, "clipstack-test-gone"):
        (stacks / name).mkdir(parents=True)
        (stacks / name / "stack.env").write_text("CLIPSTACK_MINIO_PASSWORD='secret'\n")
    (stacks / half.project / "stack.new").write_text("half of it")
    half.docker("stop", "etcd")
    try:
        by_name = checks(doctor(half), "leftovers")
        stopped = by_name[f"stack {half.project}"]
        assert f"{half.project}-etcd-1" in stopped["message"]
        assert "`clipstack start`" in stopped["fix"]
        assert "no containers and no volumes" in by_name["stack clipstack-test-gone"]["message"]
        assert "stack.new" in by_name["file"]["message"]
        for name in ("stack clipstack-test-gone", "file"):
            subprocess.run(shlex.split(by_name[name]["fix"].strip("`")), check=True)
        by_name = checks(doctor(half), "leftovers")
        assert "stack clipstack-test-gone" not in by_name
        assert "file" not in by_name
    finally:
        half.docker("start", "etcd")


SECRETS = {
    "token": "t0ken-of-milvus",
    "encoder": "t0ken-of-encoder",
    "target": "t0ken-of-target",
    "written": "written-p4ssword",
    "environment": "hf-in-the-environment",
    "of a container": "api-key-of-a-container",
    "on a line": "option-on-a-line",
    "bearer": "bearer-that-nobody-knows",
    "in a url": "p4ssword-in-a-url",
    "in json": "p4ssword-in-json",
    "assigned": "assigned-in-a-log",
    "of a table": "p4ssword-of-a-table",
}


@pytest.fixture(scope="module")
def planted(half: Stack) -> Iterator[Stack]:
    """The stack with secrets in every place a bundle takes something from."""
    secret = SECRETS
    log = [
        f"connected as root:{secret['token']}",
        f"authorization: {base64.b64encode(('root:' + secret['token']).encode()).decode()}",
        f"Authorization: Bearer {secret['bearer']}",
        f"GET https://someone:{secret['in a url']}@example.com/v2/ 200",
        '{"level": "info", "password": "' + secret["in json"] + '", "port": 9000}',
        f"secret_key={secret['assigned']} region=us-east-1",
        f"encoder said {secret['encoder']}, another {secret['target']}, {secret['written']}",
        f"HF {secret['environment']} and {secret['of a table']}",
        f"in {Path.home()}/pictures",
        "an ordinary line",
    ]
    project = half.project
    labels = {"project": project, "service": "milvus", "oneoff": "False"}
    named = [f"{LABEL}{name}={value}" for name, value in labels.items()]
    script = "printf '%s\\n' \"$LINES\"; sleep 600"
    docker(
        "run", "--detach", "--name", f"{project}-milvus-1", *named,
        "--env", f"SOME_API_KEY={secret['of a container']}",
        "--env", "LINES=" + "\n".join(log),
        "--entrypoint=sh", half.variables["CLIPSTACK_ETCD_IMAGE"],
        "-c", script, "sh", "--password", secret["on a line"],
    )  # fmt: skip
    folder = half.folder / "data" / "stacks" / "clipstack-test-other"
    folder.mkdir(parents=True)
    (folder / "stack.env").write_text(f"CLIPSTACK_MINIO_PASSWORD='{secret['written']}'\n")
    (half.folder / "clipstack.toml").write_text(
        f'[targets.far]\nmilvus_uri = "http://127.0.0.1:1"\nmilvus_token = "{secret["target"]}"\n'
        f'[stack]\nminio_password = "{secret["of a table"]}"\n'
    )
    secret_variables = {
        "CLIPSTACK_MILVUS_TOKEN": f"root:{secret['token']}",
        "CLIPSTACK_ENCODER_TOKEN": secret["encoder"],
        "HF_TOKEN": secret["environment"],
    }
    yield replace(half, variables=half.variables | secret_variables)
    docker("rm", "--force", f"{project}-milvus-1")
    (half.folder / "clipstack.toml").unlink()


@pytest.mark.parametrize("name", ["bundle.zip", "bundle.tar.gz"])
def test_a_bundle_gives_no_secret_away(planted: Stack, name: str) -> None:
    file = planted.folder / name
    ran = doctor(planted, "--bundle", name)
    assert ran.json["bundle"] == name
    files = _unpacked(file)
    project = planted.project
    assert {
        "doctor.json",
        "health.json",
        "config.json",
        "versions.json",
        "docker.json",
        "environment.json",
        "compose.yaml",
        f"containers/{project}-etcd-1.json",
        f"logs/{project}-etcd-1.log",
        f"logs/{project}-milvus-1.log",
    } <= set(files)
    secrets = {**SECRETS, "password": planted.variables["CLIPSTACK_MINIO_PASSWORD"]}
    for secret in secrets.values():
        coded = base64.b64encode(secret.encode()).decode().rstrip("=")
        for path, text in files.items():
            assert secret not in text, path
            assert coded not in text, path
    everything = "\n".join(files.values())
    assert base64.b64encode(f"root:{SECRETS['token']}".encode()).decode() not in everything
    assert f"{Path.home()}/" not in everything
    # And yet it is of use.
    log = files[f"logs/{project}-milvus-1.log"]
    assert "an ordinary line" in log
    assert "in ~/pictures" in log
    assert "region=us-east-1" in log
    assert '"port": 9000' in log
    assert '"milvus_token"' in files["config.json"]
    assert '"(set)"' in files["config.json"]
    assert '"HF_TOKEN": ""' in files["environment.json"]
    assert f'"CLIPSTACK_PROJECT": "{project}"' in files["environment.json"]
    assert "quay.io" in files["compose.yaml"] or "clipstack-test/etcd" in files["compose.yaml"]
    assert file.stat().st_mode & 0o077 == 0


def test_a_bundle_does_not_replace_a_file(planted: Stack) -> None:
    file = planted.folder / "mine.zip"
    file.write_text("mine")
    ran = doctor(planted, "--bundle", "mine.zip")
    assert ran.code == 8
    assert file.read_text() == "mine"
    ran = doctor(planted, "--bundle", "mine.zip", "--yes")
    assert "doctor.json" in _unpacked(file)
    assert not list(planted.folder.glob(".*new"))


def _unpacked(file: Path) -> dict[str, str]:
    if file.suffix == ".zip":
        with zipfile.ZipFile(file) as archive:
            return {name: archive.read(name).decode() for name in archive.namelist()}
    files = {}
    with tarfile.open(file) as packed:
        for entry in packed:
            content = packed.extractfile(entry)
            assert content
            files[entry.name] = content.read().decode()
    return files
