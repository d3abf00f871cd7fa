"""`clipstack collections` and `clipstack config`, beyond what every command shares."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from pathlib import Path
from subprocess import PIPE

import pytest

from tests.material import draw
from tests.running import Cli, process, wait_for_rows

MANY = 300


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A folder with pictures for an import that takes a while."""
    folder = tmp_path / "many"
    folder.mkdir()
    return draw(folder, MANY, 96)


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


def test_reading_beside_an_import(cli: Cli, imported: Path, many: Path) -> None:
    """Whoever reads does not wait for the one who writes, and sees what is written so far."""
    importing = process("import", many, "-m", "shapes", "--batch-size", "4", "-q")
    wait_for_rows(60)
    listed = cli("collections", "list", "--wait", "0", mode="json").json
    assert importing.poll() is None, "the import is over too early to tell"
    assert listed[0] | {"rows": 0} == cli("collections", "show", "distances", mode="json").json | {
        "rows": 0
    }
    hits = cli("search", "red star", "-k", "1000", "--wait", "0", mode="json").json["hits"]
    assert len(hits) >= listed[1]["rows"] >= 60
    assert importing.wait(timeout=120) == 0
    assert cli("collections", "show", "images", mode="json").json["rows"] == 40 + MANY
    importing.communicate()


def test_two_imports_at_once(cli: Cli, tmp_path: Path, many: Path) -> None:
    """Both make the database, the collection and the pictures that both were given."""
    names = sorted(many.iterdir())
    given = names[: 2 * MANY // 3], names[MANY // 3 :]
    running = [
        process("import", "-", "-m", "shapes", "--json", "--batch-size", "16", stdin=PIPE)
        for _ in given
    ]
    for one, files in zip(running, given, strict=True):
        assert one.stdin
        one.stdin.write("\n".join(map(str, files)))
        one.stdin.close()
    for one in running:
        assert one.wait(timeout=120) == 0, one.stderr and one.stderr.read()
        assert one.stdout
        assert json.loads(one.stdout.read())["counts"]["failed"] == 0
        one.stdout.close()
        one.stderr and one.stderr.close()
    hits = cli("search", "star", "-k", "1000", mode="json").json["hits"]
    assert sorted(hit["path"] for hit in hits) == [str(name) for name in names]
    assert cli("import", many, mode="json").json["counts"]["unchanged"] == MANY
    for name in names[:: MANY // 5]:
        best = cli("search", "--image", name, "-k", "1", mode="json").json["hits"][0]
        assert best["score"] == pytest.approx(1, abs=1e-4)


def test_aliases(cli: Cli, imported: Path) -> None:
    assert cli("collections", "alias", "images", "pictures").code == 0
    assert cli("search", "red star", "-c", "pictures", "-k", "1").code == 0
    moved = cli("collections", "alias", "distances", "pictures", mode="json")
    assert (moved.json["name"], moved.json["aliases"]) == ("distances", ["pictures"])
    assert "meant images before" in moved.err
    listed = cli("collections", "list", mode="human").text
    assert "aliases" in listed
    assert cli("collections", "drop", "pictures", "--yes").code == 2
    assert cli("collections", "alias", "images", "pictures", "--delete").code == 6
    assert cli("collections", "alias", "distances", "pictures", "--delete").code == 0
    assert cli("search", "red star", "-c", "pictures").code == 6


def test_nothing_to_load_or_release(cli: Cli, imported: Path) -> None:
    assert cli("collections", "load", "images", mode="json").json["rows"] == 40
    ran = cli("collections", "release", "images")
    assert ran.code == 2
    assert "can't release" in ran.err


def test_compaction_gives_space_back(cli: Cli, many: Path) -> None:
    assert cli("import", many, "-m", "shapes").code == 0
    idle = cli("collections", "compact", "images")
    assert "nothing to free" in idle.err
    for picture in many.iterdir():  # the same bytes, but every row is written again
        os.utime(picture, ns=(1, 1))
    assert cli("import", many, mode="json").json["counts"]["unchanged"] == MANY
    before = cli("search", "red star", "-k", "1000", mode="json").json["hits"]
    done = cli("collections", "compact", "images", mode="json")
    assert done.code == 0, done.err
    assert (done.json["compacted"], done.json["finished"]) == ("images", True)
    assert done.json["freed"] > 0
    assert cli("search", "red star", "-k", "1000", mode="json").json["hits"] == before


def test_a_file_that_is_no_database(cli: Cli, tmp_path: Path) -> None:
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"this is no database" * 1000)
    ran = cli("--config", _config(tmp_path, broken), "collections", "list")
    assert ran.code == 1
    assert "broken.db" in ran.err
    assert broken.read_bytes() == b"this is no database" * 1000


def test_a_database_of_another_program(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "foreign.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    for command in (("collections", "list"), ("import", tmp_path, "-m", "shapes")):
        ran = cli("--config", _config(tmp_path, path), *command)
        assert ran.code == 1
        assert "another program" in ran.err
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("theirs",)]


@pytest.mark.parametrize("name", ["pictures", "a" * 40 + ".db", "sp ace.db", "1?x#y%20.db"])
def test_any_name_will_do_for_the_database(
    cli: Cli, tmp_path: Path, gallery: Path, name: str
) -> None:
    config = _config(tmp_path, tmp_path / name)
    assert cli("--config", config, "import", gallery, "--no-recursive").code == 0
    assert cli("--config", config, "search", "star", "-k", "5", mode="quiet").out.count("\n") == 5
    assert (tmp_path / name).exists()


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
