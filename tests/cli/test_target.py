"""Targets: which one a command uses, what goes before what, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.running import Cli

TABLES = """
[targets.prod]
milvus_uri = "https://milvus.example.com:19530"
milvus_token = "root:of-all-evil"
tls_ca = "ca.pem"
encoder_url = ["http://one:3000", "http://two:3000"]
collection = "holidays"
index = "HNSW"
index_params = { M = 8, efConstruction = 64 }

[targets.empty]
collection = "images"
"""


@pytest.fixture
def tables() -> Path:
    """A project whose clipstack.toml names two targets, one of them without an address."""
    file = Path.cwd() / "clipstack.toml"
    file.write_text(TABLES)
    return file


def shown(cli: Cli, *args: str) -> dict[str, object]:
    ran = cli("config", "show", *args, mode="json")
    assert ran.code == 0, ran.out
    return ran.json


def test_a_table_is_a_layer_of_settings(cli: Cli, tables: Path) -> None:
    found = shown(cli, "--target", "prod")
    assert found["milvus_uri"] == "https://milvus.example.com:19530"
    assert found["encoder_url"] == "http://one:3000 http://two:3000"
    assert found["tls_ca"] == str(tables.parent / "ca.pem"), "relative to the file that names it"
    assert (found["collection"], found["index"]) == ("holidays", "HNSW")
    assert found["index_params"] == '{"M": 8, "efConstruction": 64}'
    assert shown(cli)["collection"] == "images", "the embedded target is as it was"


def test_secrets_are_not_shown(cli: Cli, tables: Path) -> None:
    for args in (("config", "show", "--origin"), ("target", "show"), ("target", "list")):
        for mode in ("human", "plain", "json", "quiet"):
            ran = cli(*args, "--target", "prod", mode=mode)
            assert ran.code == 0
            assert "of-all-evil" not in ran.out + ran.err


def test_use_is_remembered_and_shown(cli: Cli, tables: Path) -> None:
    assert cli("target", "use", "prod").code == 0
    assert shown(cli)["target"] == "prod"
    listed = {one["name"]: one for one in cli("target", "list", mode="json").json}
    assert [name for name, one in listed.items() if one["current"]] == ["prod"]
    assert "no milvus_uri" in listed["empty"]["problem"]
    assert shown(cli, "--target", "embedded")["milvus_uri"] == ""
    assert cli("target", "use", "embedded").code == 0
    assert shown(cli)["target"] == "embedded"


def test_what_goes_before_the_choice_is_said(
    cli: Cli, tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables.write_text('target = "stack"\n' + TABLES)
    ran = cli("target", "use", "prod")
    assert ran.code == 0
    assert str(tables) in ran.err
    assert shown(cli)["target"] == "stack"
    monkeypatch.setenv("CLIPSTACK_TARGET", "prod")
    assert shown(cli)["target"] == "prod"
    assert shown(cli, "--target", "embedded")["target"] == "embedded"


def test_an_address_alone_is_a_target(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPSTACK_MILVUS_URI", "http://far.example.com:19530")
    found = shown(cli)
    assert (found["target"], found["milvus_uri"]) == ("remote", "http://far.example.com:19530")
    other = shown(cli, "--target", "stack")
    assert other["milvus_uri"] == "http://127.0.0.1:19530", "a target that was asked for wins"


def test_the_token_of_a_table_can_come_from_the_environment(
    cli: Cli, tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIPSTACK_MILVUS_TOKEN", "from:outside")
    ran = cli("config", "show", "--origin", "--target", "prod", mode="json")
    assert ran.json["milvus_token"] == {"value": "(set)", "origin": "CLIPSTACK_MILVUS_TOKEN"}


def test_the_ports_of_the_stack(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    (Path.cwd() / "clipstack.toml").write_text("[stack]\nmilvus_port = 29530\n")
    assert shown(cli, "--target", "stack")["milvus_uri"] == "http://127.0.0.1:29530"
    monkeypatch.setenv("CLIPSTACK_MILVUS_PORT", "39530")
    assert shown(cli, "--target", "stack")["milvus_uri"] == "http://127.0.0.1:39530"


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ('target = "pord"\n[targets.prod]\nmilvus_uri = "http://a:1"', 6, "Did you mean prod?"),
        ("[targets.stack]\n", 2, "that name is taken"),
        ('targets = "prod"', 2, "must be a table"),
        ('[targets]\nprod = "http://a:1"', 2, "must be a table"),
        ("[stack]\nmilvus_prot = 1", 2, "milvus_port"),
        ("[stack]\nmilvus_port = [1]", 2, "must be a text or a number"),
        ('target = "prod"\n[targets.prod]\nmilvus_url = "http://a:1"', 2, "milvus_uri"),
        ('target = "prod"\n[targets.prod]\nindex = "FAST"\nmilvus_uri = "http://a:1"', 2, "HNSW"),
        ('index_params = "M"', 2, "M=16"),
        ('target = "remote"', 2, "CLIPSTACK_MILVUS_URI"),
        ('project = "My Stack"', 2, "lower-case"),
    ],
)
def test_wrong_settings_name_their_place(text: str, code: int, said: str, cli: Cli) -> None:
    (Path.cwd() / "clipstack.toml").write_text(text)
    ran = cli("collections", "list")
    assert ran.code == code
    assert said in ran.err
    assert "clipstack.toml" in ran.err or code == 6


def test_an_unknown_target_is_not_used(cli: Cli) -> None:
    ran = cli("target", "use", "prod")
    assert ran.code == 6
    assert "Targets are: embedded, stack" in ran.err
    assert cli("target", "use", "remote").code == 2
    assert shown(cli)["target"] == "embedded"


def test_a_server_that_does_not_answer(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPSTACK_MILVUS_URI", "http://127.0.0.1:9")
    ran = cli("collections", "list", "--wait", "0")
    assert ran.code == 5
    assert "http://127.0.0.1:9" in ran.err
    monkeypatch.setenv("CLIPSTACK_MILVUS_URI", "milvus.example.com")
    assert cli("collections", "list").code == 2
