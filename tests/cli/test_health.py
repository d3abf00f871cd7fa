"""`clipstack health` without Docker: the embedded target, and servers that say nothing."""

from __future__ import annotations

import contextlib
import datetime
import json
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from clipstack.health.probes.container_state import explain
from clipstack.health.probes.sigv4 import signed
from clipstack.stack.containers import Container
from tests.running import Cli, process
from tests.serving import free_port


@contextlib.contextmanager
def silent_server() -> Iterator[str]:
    """A port that takes connections and never answers, as a stopped process' does."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def services(document: dict) -> dict[str, dict]:
    return {service["name"]: service for service in document["services"]}


def test_embedded(cli: Cli, imported: Path) -> None:
    ran = cli("health", mode="json")
    assert ran.code == 0, ran.out
    assert ran.json["target"] == "embedded"
    assert ran.json["healthy"] is True
    by_name = services(ran.json)
    assert list(by_name) == ["database", "model"]
    assert by_name["database"]["reason"] == "80 rows in 2 collections"
    assert by_name["database"]["url"] == str(imported)
    assert by_name["model"]["version"] == "shapes"


def test_embedded_deep(cli: Cli, imported: Path) -> None:
    ran = cli("health", "--deep", mode="json")
    assert ran.code == 0, ran.out
    assert services(ran.json)["model"]["status"] == "ok"


def test_a_model_that_is_not_here(cli: Cli) -> None:
    ran = cli("health", mode="json")
    assert ran.code == 3
    by_name = services(ran.json)
    assert by_name["database"]["status"] == "ok"
    assert "not made yet" in by_name["database"]["reason"]
    assert by_name["model"]["status"] == "degraded"
    assert "clipstack models pull" in by_name["model"]["hint"]
    assert cli("health", mode="quiet").out == "model\n"


def test_a_database_that_another_process_writes_to(cli: Cli, imported: Path) -> None:
    with contextlib.closing(sqlite3.connect(imported, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        ran = cli("health", "database", mode="json")
    assert ran.code == 0
    assert services(ran.json)["database"]["reason"] == "80 rows in 2 collections"


def test_a_database_that_is_none(cli: Cli, imported: Path) -> None:
    imported.write_bytes(b"no database")
    ran = cli("health", "database", mode="json")
    assert ran.code == 5
    assert services(ran.json)["database"]["status"] == "down"
    assert "not a database" in services(ran.json)["database"]["reason"]


def test_servers_that_say_nothing_are_told_and_left_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with silent_server() as milvus, silent_server() as encoder:
        monkeypatch.setenv("CLIPSTACK_MILVUS_URI", milvus)
        monkeypatch.setenv("CLIPSTACK_ENCODER_URL", encoder)
        running = process("health", "--timeout", "1", "--json")
        out, err = running.communicate(timeout=20)
    assert running.returncode == 5, err
    by_name = services(json.loads(out))
    assert list(by_name) == ["milvus", "encoder"]
    for service in by_name.values():
        assert service["status"] == "down"
        assert "gives no answer within" in service["reason"]
    assert "CLIPSTACK_MILVUS_URI" in by_name["milvus"]["hint"]
    assert "Traceback" not in err


def test_a_stack_with_encoders_elsewhere(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    closed, stack = f"http://127.0.0.1:{free_port()}", "http://127.0.0.1:3000"
    with silent_server() as silent:
        monkeypatch.setenv("CLIPSTACK_ENCODER_URL", f"{silent} {stack} {closed}")
        ran = cli("--target", "stack", "health", "--timeout", "2", mode="json")
    by_name = services(ran.json)
    urls = {name: service["url"] for name, service in by_name.items()}
    assert list(urls) == ["etcd", "minio", "milvus", "encoder-1", "bentoml", "encoder-3"]
    assert (urls["encoder-1"], urls["bentoml"], urls["encoder-3"]) == (silent, stack, closed)
    assert "gives no answer within" in by_name["encoder-1"]["reason"]
    assert "nothing listens" in by_name["encoder-3"]["reason"]
    assert "CLIPSTACK_ENCODER_URL" in by_name["encoder-3"]["hint"]


def test_nothing_listens(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("CLIPSTACK_MILVUS_URI", f"http://127.0.0.1:{port}")
    ran = cli("--target", "remote", "health", "milvus", mode="json")
    assert ran.code == 5
    (milvus,) = ran.json["services"]
    assert milvus["reason"] == f"nothing listens on 127.0.0.1:{port}"
    assert milvus["latency_ms"] is None


def test_an_address_that_is_none(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPSTACK_MILVUS_URI", "milvus.example.com")
    ran = cli("--target", "remote", "health", "milvus", mode="json")
    assert ran.code == 5
    assert "not the address of a Milvus server" in ran.json["services"][0]["reason"]


def test_what_answers_is_something_else(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    line = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as web:
        assert web.stdout
        port = web.stdout.readline().split("port ")[1].split()[0]
        monkeypatch.setenv("CLIPSTACK_MILVUS_URI", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("CLIPSTACK_ENCODER_URL", f"http://127.0.0.1:{port}")
        ran = cli("health", mode="json")
        web.terminate()
    assert ran.code == 3
    by_name = services(ran.json)
    assert by_name["milvus"]["status"] != "ok"
    assert by_name["encoder"]["status"] == "degraded"


# From https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
S3_KEY = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
S3_NOW = datetime.datetime(2013, 5, 24, tzinfo=datetime.UTC)
S3_HOST = "https://examplebucket.s3.amazonaws.com"


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "signature"),
    [
        (
            "GET",
            "/test.txt",
            {"range": "bytes=0-9"},
            b"",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "PUT",
            "/test%24file.text",
            {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            b"Welcome to Amazon S3.",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            "GET",
            "/?lifecycle",
            {},
            b"",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            "GET",
            "/?max-keys=2&prefix=J",
            {},
            b"",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)
def test_signatures_are_those_amazon_publishes(
    method: str, path: str, headers: dict[str, str], body: bytes, signature: str
) -> None:
    result = signed(method, S3_HOST + path, *S3_KEY, headers=headers, body=body, now=S3_NOW)
    assert result["Authorization"].endswith(f"Signature={signature}")


def test_the_signature_of_the_test_suite() -> None:
    """`get-vanilla` of the Signature Version 4 test suite: another service, no body's digest."""
    result = signed(
        "GET",
        "https://example.amazonaws.com/",
        "AKIDEXAMPLE",
        "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        now=datetime.datetime(2015, 8, 30, 12, 36, tzinfo=datetime.UTC),
        service="service",
    )
    assert result["Authorization"].endswith(
        "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    )


def _container(state: str, **attributes: object) -> Container:
    usual = dict.fromkeys((field.name for field in fields(Container)), "")
    usual |= {"exit_code": 0, "oom_killed": False, "restarts": 0}
    return Container(**{**usual, "service": "milvus", "state": state, **attributes})


@pytest.mark.parametrize(
    ("container", "reason", "hint"),
    [
        (None, "not created", "`clipstack up`"),
        (_container("exited"), "stopped (exit 0)", "`clipstack start milvus`"),
        (_container("exited", exit_code=2), "stopped (exit 2)", "clipstack logs milvus"),
        (_container("restarting", restarts=5, exit_code=1), "5 times", "clipstack logs milvus"),
        (
            _container("restarting", restarts=2, oom_killed=True),
            "out of memory: restarting, twice",
            "CLIPSTACK_MILVUS_MEMORY",
        ),
        (_container("running", health="starting"), "starting", "clipstack health milvus --wait"),
        (_container("running"), "", ""),
    ],
)
def test_the_states_of_a_container(container: Container | None, reason: str, hint: str) -> None:
    explanation, advice = explain("milvus", container)
    assert reason in explanation
    assert hint in advice
    assert bool(reason) == bool(explanation)
