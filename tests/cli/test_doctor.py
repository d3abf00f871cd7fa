"""`clipstack doctor` without Docker: settings, leftovers, the embedded database, the bundle."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import socket
import sqlite3
import zipfile
from pathlib import Path

import pytest

from clipstack.doctor.clock_skew import seconds_since
from clipstack.doctor.redaction import REMOVED, Redactor
from clipstack.doctor.registries import registry_host
from clipstack.doctor.services import version_check
from tests.running import Cli, Ran, process

COLLECTIONS = ("images", "distances")


@pytest.fixture(autouse=True)
def no_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")


def checks(ran: Ran, group: str) -> dict[str, dict]:
    groups = {group["name"]: group["checks"] for group in ran.json["groups"]}
    return {check["name"]: check for check in groups.get(group, [])}


def test_without_docker_and_without_anything(cli: Cli) -> None:
    ran = cli("doctor", mode="json")
    assert ran.code == 0, ran.out
    assert ran.json["target"] == "embedded"
    assert checks(ran, "Docker")["Docker"]["level"] == "warn"
    assert "clipstack models pull" in checks(ran, "model")["model"]["fix"]
    assert "not made yet" in checks(ran, "database")["database"]["message"]
    assert checks(ran, "versions")["pymilvus"]["message"]
    assert checks(ran, "machine")["disk (data)"]["level"] == "ok"
    assert checks(ran, "leftovers")["leftovers"]["level"] == "ok"
    assert not checks(ran, "ports")
    for group in ran.json["groups"]:
        for check in group["checks"]:
            assert check["level"] == "ok" or check["fix"], check


def test_the_stack_needs_docker(cli: Cli) -> None:
    ran = cli("--target", "stack", "doctor", mode="json")
    assert ran.code == 4
    assert ran.json["ok"] is False
    assert checks(ran, "Docker")["Docker"]["level"] == "fail"


def test_an_engine_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(tmp_path / "engine"))
        engine.listen(64)
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'engine'}")
        running = process("doctor", "--json")
        out, err = running.communicate(timeout=30)
    assert running.returncode == 0, err
    groups = {group["name"]: group["checks"] for group in json.loads(out)["groups"]}
    assert "no answer within" in groups["Docker"][0]["message"]
    assert groups["Docker"][0]["level"] == "warn"
    assert groups["versions"][0]["level"] == "ok"


def test_a_settings_file_that_is_no_toml(cli: Cli) -> None:
    Path("clipstack.toml").write_text("model = \n")
    ran = cli("doctor", mode="json")
    assert ran.code == 3
    by_name = checks(ran, "settings")
    assert list(by_name) == ["clipstack.toml"]
    assert "not valid TOML" in by_name["clipstack.toml"]["message"]
    assert checks(ran, "versions")


def test_a_setting_that_does_not_exist(cli: Cli) -> None:
    Path("clipstack.toml").write_text('modle = "shapes"\n')
    ran = cli("doctor", mode="json")
    assert ran.code == 3
    check = checks(ran, "settings")["clipstack.toml"]
    assert "'modle'" in check["message"]
    assert check["fix"] == "Did you mean model?"


def test_a_target_that_does_not_exist(cli: Cli) -> None:
    ran = cli("--target", "moon", "doctor", mode="json")
    assert ran.code == 3
    assert "no target 'moon'" in checks(ran, "settings")["settings"]["message"]


def test_variables_that_mean_nothing(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLIPSTACK_MODLE", "CLIPSTACK_MODEL", "CLIPSTACK_IMPORT_RECURSIVE"):
        monkeypatch.setenv(name, "shapes")
    monkeypatch.setenv("CLIPSTACK_ETCD_PORT", "2379")
    monkeypatch.setenv("CLIPSTACK_SERVICE_TOKEN", "x")
    by_name = checks(cli("doctor", mode="json"), "settings")
    assert [name for name, check in by_name.items() if check["level"] != "ok"] == [
        "CLIPSTACK_MODLE"
    ]
    assert by_name["CLIPSTACK_MODLE"]["level"] == "warn"
    assert by_name["CLIPSTACK_MODLE"]["fix"] == "Did you mean CLIPSTACK_MODEL?"


@pytest.mark.parametrize("writes", [False, True])
def test_a_database_that_is_whole(cli: Cli, imported: Path, writes: bool) -> None:
    with contextlib.closing(sqlite3.connect(imported, isolation_level=None)) as other:
        if writes:
            other.execute("BEGIN IMMEDIATE")
        by_name = checks(cli("doctor", mode="json"), "database")
    assert {check["level"] for check in by_name.values()} == {"ok"}
    assert any(str(imported) in check["message"] for check in by_name.values())


def test_vectors_that_were_cut_off(cli: Cli, imported: Path) -> None:
    (file, *_) = sorted(Path(f"{imported}-vectors").iterdir())
    size = file.stat().st_size
    os.truncate(file, size // 2)
    by_name = checks(cli("doctor", mode="json"), "database")
    (damage,) = [check for check in by_name.values() if check["level"] != "ok"]
    assert "20" in damage["message"]
    assert damage["fix"]
    hits = [cli("search", "star", "-k", "40", "-q", "-c", name).out for name in COLLECTIONS]
    assert sorted(text.count("\n") for text in hits) == [20, 40], "what is whole is found"


def test_a_database_that_is_damaged(cli: Cli, imported: Path) -> None:
    pages = bytearray(imported.read_bytes())
    pages[4096 : 8 * 4096] = b"?" * (7 * 4096)
    imported.write_bytes(pages)
    ran = cli("doctor", mode="json")
    assert ran.code in (0, 3)
    assert any(check["level"] == "fail" for check in checks(ran, "database").values())
    assert "Traceback" not in ran.err


def test_half_written_files(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "stacks" / "one"
    folder.mkdir(parents=True)
    (folder / "stack.new").touch()
    (tmp_path / "data" / "target.new").touch()
    ran = cli("doctor", mode="plain")
    assert ran.code == 0
    lines = [line.split("\t") for line in ran.out.splitlines() if line.startswith("leftovers")]
    assert [line[1] for line in lines] == ["warn", "warn"]
    assert f"`rm {folder / 'stack.new'}`" in [line[4] for line in lines]


@pytest.mark.parametrize("name", ["facts.rar", "facts", "zip"])
def test_a_bundle_by_another_name(cli: Cli, name: str) -> None:
    ran = cli("doctor", "--bundle", name)
    assert ran.code == 2
    assert ".zip" in ran.err
    assert not Path(name).exists()


def test_a_bundle_without_docker(cli: Cli, imported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPSTACK_MILVUS_TOKEN", "not-to-be-told")
    ran = cli("doctor", "--bundle", "facts.zip", mode="quiet")
    assert (ran.code, ran.out, ran.err) == (0, "facts.zip\n", "")
    with zipfile.ZipFile("facts.zip") as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    assert json.loads(files["health.json"])["target"] == "embedded"
    assert json.loads(files["docker.json"])["error"] == "Docker is not running"
    assert json.loads(files["config.json"])["milvus_token"] == {
        "value": "(set)",
        "origin": "CLIPSTACK_MILVUS_TOKEN",
    }
    assert "not-to-be-told" not in "".join(files.values())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("token=hunter22 port=9000, abc", f"token={REMOVED} port=9000, abc"),
        ("password=hunter22", f"{REMOVED}={REMOVED}"),
        ("MINIO_ROOT_PASSWORD: hunter22", f"MINIO_ROOT_PASSWORD: {REMOVED}"),
        ('{"access_key": "hunter22"}', f'{{"access_key": "{REMOVED}"}}'),
        ("Authorization: Bearer hunter22", f"Authorization: {REMOVED}"),
        ("Authorization: Basic aHVudGVyOjIy", f"Authorization: {REMOVED}"),
        ("curl -H 'X: Bearer hunter22hunter'", f"curl -H 'X: Bearer {REMOVED}'"),
        ("--api-key hunter22 --port 3", f"--api-key {REMOVED} --port 3"),
        ("https://a:hunter22@host/x", f"https://{REMOVED}@host/x"),
        ("https://hunter22@host/x", f"https://{REMOVED}@host/x"),
        ("GET /?X-Amz-Signature=hunter22&a=1", f"GET /?X-Amz-Signature={REMOVED}&a=1"),
        ("AKIAIOSFODNN7EXAMPLE", REMOVED),
        ("the known one: s3cret/of mine", f"the known one: {REMOVED}"),
        ("in a URL: s3cret%2Fof%20mine", f"in a URL: {REMOVED}"),
        ("in base64: czNjcmV0L29mIG1pbmU=", f"in base64: {REMOVED}"),
        ("/home/ann/pictures and /home/anna", "~/pictures and /home/anna"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nhunter22\n-----END RSA PRIVATE KEY-----",
            REMOVED,
        ),
        ("77 tokens: 4, context_length: 77", "77 tokens: 4, context_length: 77"),
        ("authorizationEnabled: false", "authorizationEnabled: false"),
        ("an ordinary line, 10:22, a=b", "an ordinary line, 10:22, a=b"),
    ],
)
def test_what_is_taken_out_of_a_text(text: str, shown: str) -> None:
    redactor = Redactor({"s3cret/of mine", "", "password", "abc"}, home="/home/ann")
    assert redactor.text(text) == shown


def test_what_is_taken_out_of_json() -> None:
    cleaned = Redactor([], home="/home/ann").value(
        {
            "Env": ["TOKEN=hunter22", "PATH=/bin"],
            "registryPassword": "hunter22",
            "nested": {"secret": {"value": "kept", "apiKey": "hunter22"}},
            "token": "",
            "Cmd": ["serve", "--password", "hunter22", "--port", "9000"],
            "Memory": 1024,
        }
    )
    assert cleaned == {
        "Env": [f"TOKEN={REMOVED}", "PATH=/bin"],
        "registryPassword": REMOVED,
        "nested": {"secret": {"value": "kept", "apiKey": REMOVED}},
        "token": "",
        "Cmd": ["serve", "--password", REMOVED, "--port", "9000"],
        "Memory": 1024,
    }


@pytest.mark.parametrize(
    ("version", "level"),
    [
        ("2.6.1", "ok"),
        ("2.6.2", "warn"),
        ("v2.6.13", "warn"),
        ("2.6.14", "ok"),
        ("2.3.5-lite", "ok"),
        ("latest", "ok"),
    ],
)
def test_versions_of_milvus_that_are_known_to_be_bad(version: str, level: str) -> None:
    assert version_check(version, "it runs").level == level


def test_clocks() -> None:
    now = datetime.datetime(2026, 1, 2, 3, 5, 4, tzinfo=datetime.UTC)
    assert round(seconds_since("2026-01-02T03:04:04.123456789Z", now), 3) == 59.877
    assert seconds_since("2026-01-02T05:05:14+02:00", now) == -10


@pytest.mark.parametrize(
    ("image", "registry"),
    [
        ("milvusdb/milvus:v2.6.25", "registry-1.docker.io"),
        ("docker.io/library/etcd", "registry-1.docker.io"),
        ("etcd:3", "registry-1.docker.io"),
        ("quay.io/minio/minio:latest", "quay.io"),
        ("localhost:5000/etcd:3", "localhost:5000"),
    ],
)
def test_the_registry_of_an_image(image: str, registry: str) -> None:
    assert registry_host(image) == registry
