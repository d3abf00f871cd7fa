"""The overlays of compose.yaml: an object store elsewhere, GPUs, Attu."""

from __future__ import annotations

import json
import subprocess
from ipaddress import ip_network
from pathlib import Path

import pytest

from clipstack.settings import stack_variables
from tests.stack.stacks import Stack, docker, removed

pytestmark = pytest.mark.usefixtures("stack_images")


def test_an_object_store_elsewhere(tmp_path: Path) -> None:
    address = _bridge_address()
    elsewhere = Stack(tmp_path / "s3", "clipstack-test-s3", {"CLIPSTACK_BIND_ADDRESS": address})
    with removed(elsewhere):
        assert elsewhere.clipstack("up", "minio").code == 0
        file = elsewhere.folder / "data" / "stacks" / elsewhere.project / "stack.env"
        keys = dict(line.split("=", 1) for line in file.read_text().splitlines()[1:])
        external = {
            "CLIPSTACK_S3_ADDRESS": f"{address}:{elsewhere.port('MINIO')}",
            "CLIPSTACK_S3_TLS": "false",
            "CLIPSTACK_S3_BUCKET": "pictures",
            "CLIPSTACK_S3_ACCESS_KEY": keys["CLIPSTACK_MINIO_USER"].strip('"'),
            "CLIPSTACK_S3_SECRET_KEY": keys["CLIPSTACK_MINIO_PASSWORD"].strip('"'),
        }
        with removed(Stack(tmp_path / "stack", "clipstack-test-s3-user", external)) as stack:
            ran = stack.clipstack("up", "milvus", "--json")
            assert ran.code == 0, ran.out + ran.err
            assert [service["name"] for service in ran.json["services"]] == ["etcd", "milvus"]
            assert ran.json["search"]["seconds"] > 0
            assert stack.container("minio") == ""
            assert "pictures" in docker("exec", elsewhere.container("minio"), "ls", "/minio_data")
            shown = stack.clipstack("up", "--dry-run", "--json")
            assert external["CLIPSTACK_S3_SECRET_KEY"] not in shown.out + shown.err
            assert shown.json["variables"]["CLIPSTACK_S3_SECRET_KEY"] == "(set)"


def _bridge_address() -> str:
    """This machine's address on Docker's bridge; a daemon that found its bridge made says no
    gateway, which is the first address of the subnet."""
    shown = docker("network", "inspect", "bridge", "-f", "{{json (index .IPAM.Config 0)}}")
    config = json.loads(shown)
    return config.get("Gateway") or str(next(ip_network(config["Subnet"]).hosts()))


def test_gpus(tmp_path: Path) -> None:
    with removed(Stack(tmp_path, "clipstack-test-gpu")) as stack:
        plan = stack.clipstack("up", "--gpu", "bentoml", "--dry-run", "--json").json
        assert [Path(file).name for file in plan["files"]] == ["compose.yaml", "compose.gpu.yaml"]
        ran = stack.clipstack("up", "--gpu", "--no-wait", "bentoml", "--json")
        if ran.code == 0:  # this machine has one
            requests = docker(
                "inspect", "-f", "{{json .HostConfig.DeviceRequests}}", stack.container("bentoml")
            )
            assert "gpu" in requests
        else:
            assert ran.code == 4
            assert "no access to an NVIDIA GPU" in ran.json["error"]["message"]
            assert "--no-gpu" in ran.json["error"]["hint"]


def test_attu_is_asked_for(tmp_path: Path) -> None:
    stack = Stack(tmp_path, "clipstack-test-attu")
    names = {
        asked: stack.clipstack("up", "--dry-run", "--quiet", *asked).out.split()
        for asked in ((), ("--attu",), ("attu",))
    }
    assert "attu" not in names[()]
    assert names[("--attu",)] == [*names[()], "attu"]
    assert names[("attu",)] == ["etcd", "minio", "milvus", "attu"]


@pytest.mark.parametrize("overlay", ["", "compose.gpu.yaml", "compose.external-s3.yaml"])
def test_plain_compose_takes_the_files(overlay: str) -> None:
    folder = stack_variables.compose_folder()
    files = [f"--file={folder / name}" for name in ("compose.yaml", overlay) if name]
    asked = ("MINIO_USER", "MINIO_PASSWORD", "S3_ADDRESS", "S3_ACCESS_KEY", "S3_SECRET_KEY")
    world = {f"CLIPSTACK_{name}": "given" for name in asked} | {"CLIPSTACK_BENTOML_GPUS": "1"}
    line = ["docker", "compose", *files, "--env-file=/dev/null", "config", "--services"]
    done = subprocess.run(
        line,
        env={"PATH": "/usr/bin:/bin:/usr/local/bin"} | world,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    services = {"etcd", "minio", "milvus", "bentoml"}
    services -= {"minio"} if "s3" in overlay else set()
    assert set(done.stdout.split()) == services
