"""`clipstack collections` and `clipstack config`, beyond what every command shares."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.running import Cli, process


def test_rename_keeps_every_row(cli: Cli, imported: Path) -> None:
    before = cli("search", "red star", "-k", "40", mode="json").json["hits"]
    facts = cli("collections", "show", "images", mode="json").json
    assert cli("collections", "rename", "images", "photos").code == 0
    assert cli("search", "red star", "-k", "40", "-c", "photos", mode="json").json["hits"] == before
    renamed = cli("collections", "show", "photos", mode="json").json
    assert renamed == facts | {"name": "photos"}
    assert cli("collections", "list", mode="quiet").out.split() == ["distances", "photos"]


def test_rename_refuses_a_name_that_is_taken(cli: Cli, imported: Path) -> None:
    assert cli("collections", "rename", "images", "distances").code == 1
    assert cli("collections", "rename", "nowhere", "x").code == 6
    assert cli("collections", "rename", "images", "no-good").code == 2
    assert cli("collections", "list", mode="json").json[1]["rows"] == 40


def test_drop_asks_first(cli: Cli, imported: Path) -> None:
    ran = cli("collections", "drop", "images")
    assert ran.code == 8
    assert "--yes" in ran.err
    assert cli("collections", "show", "images", mode="json").json["rows"] == 40
    assert cli("--yes", "collections", "drop", "images").code == 0
    assert cli("collections", "show", "images").code == 6


def test_create_twice(cli: Cli) -> None:
    create = ("collections", "create", "mine", "-m", "shapes", "--metric", "ip")
    assert cli(*create).code == 0
    assert cli("collections", "show", "mine", mode="json").json["metric"] == "IP"
    assert cli(*create).code == 1


def test_the_embedded_target_lets_one_process_in(cli: Cli, imported: Path) -> None:
    from clipstack.index.database import Database

    with Database(imported, wait=0):
        waiting = process("collections", "list", "--wait", "0.3")
        _, err = waiting.communicate(timeout=30)
    assert waiting.returncode == 5
    assert "in use by process" in err
    assert "pytest" in err, "names the command that holds it"
    assert cli("collections", "list").code == 0


def test_waiting_is_rewarded(imported: Path) -> None:
    from clipstack.index.database import Database

    with Database(imported, wait=0):
        waiting = process("collections", "list", "-q", "--wait", "60")
        with pytest.raises(Exception, match="timed out"):
            waiting.wait(timeout=3)
    out, _ = waiting.communicate(timeout=30)
    assert out.split() == ["distances", "images"]


def test_a_file_that_is_no_database(cli: Cli, tmp_path: Path) -> None:
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"this is no database" * 1000)
    ran = cli("--config", _config(tmp_path, broken), "collections", "list")
    assert ran.code == 1
    assert "broken.db" in ran.err
    assert broken.read_bytes() == b"this is no database" * 1000


def test_a_database_of_another_program(cli: Cli, tmp_path: Path) -> None:
    from clipstack.index.database import Database

    path = tmp_path / "foreign.db"
    with Database(path, wait=0) as database:
        database.client.create_collection("theirs", dimension=4)
    config = _config(tmp_path, path)
    listed = cli("--config", config, "collections", "list", mode="json").json
    assert listed == [{"name": "theirs", "rows": 0}]
    ran = cli("--config", config, "search", "star", "-c", "theirs")
    assert ran.code == 1
    assert "was not made by clipstack" in ran.err


@pytest.mark.parametrize("name", ["pictures", "a" * 40 + ".db", "sp ace.db"])
def test_names_milvus_lite_does_not_take(cli: Cli, tmp_path: Path, name: str) -> None:
    ran = cli("--config", _config(tmp_path, tmp_path / name), "collections", "create", "x")
    assert ran.code == 2
    assert ".db" in ran.err


def test_nothing_is_left_running_or_lying_about(cli: Cli, imported: Path) -> None:
    cli("collections", "list")
    assert sqlite3.connect(imported).execute("pragma integrity_check").fetchone() == ("ok",)
    assert not list(imported.parent.glob("*.holder"))


def test_config_layers(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").write_text('limit = 5\nmodel = "shapes"\nwait = 1\n')
    (tmp_path / "clipstack.toml").write_text('limit = 6\ndatabase = "here.db"\n')
    monkeypatch.setenv("CLIPSTACK_WAIT", "2")
    shown = cli("config", "show", "--origin", "--target", "embedded", mode="json").json
    assert shown["model"] == {"value": "shapes", "origin": str(tmp_path / "config" / "config.toml")}
    assert shown["limit"] == {"value": 6, "origin": str(tmp_path / "clipstack.toml")}
    assert shown["database"]["value"] == str(tmp_path / "here.db"), "relative to its file"
    assert shown["wait"] == {"value": 2.0, "origin": "CLIPSTACK_WAIT"}
    assert shown["target"] == {"value": "embedded", "origin": "--target"}
    assert shown["metric"] == {"value": "COSINE", "origin": "default"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("limt = 5", "Did you mean limit?"),
        ("limit = 0", "at least 1"),
        ("limit = true", "whole number"),
        ('metric = "cosinus"', "one of COSINE"),
        ("wait = -1", "seconds"),
        ("model = ", "not valid TOML"),
    ],
)
def test_bad_settings_name_the_file(cli: Cli, tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "clipstack.toml"
    file.write_text(text)
    ran = cli("config", "show")
    assert ran.code == 2
    assert str(file) in ran.err
    assert complaint in ran.err


def test_config_init_is_valid_and_never_overwrites(cli: Cli) -> None:
    assert cli("config", "init").code == 0
    file = Path("clipstack.toml")
    template = file.read_text()
    uncommented = [
        line.removeprefix("# ")
        for line in template.splitlines()
        if " = " in line or line.startswith("# [")
    ]
    file.write_text("\n".join(uncommented))
    shown = cli("config", "show", "--origin", mode="json").json
    assert {fact["origin"] for fact in shown.values()} == {str(file.absolute())}
    assert shown["limit"]["value"] == 10
    listed = cli("target", "list", mode="json").json
    assert [one["name"] for one in listed] == ["embedded", "stack", "prod"]
    assert cli("config", "init").code == 1
    assert cli("config", "init", "--user").code == 0


def test_unknown_target(cli: Cli) -> None:
    ran = cli("collections", "list", "--target", "moon")
    assert ran.code == 6
    assert "--target" in ran.err


def _config(folder: Path, database: Path) -> Path:
    file = folder / "settings.toml"
    file.write_text(f'database = "{database}"\nmodel = "shapes"\n')
    return file
