"""Every command in every output mode: the exit code, and what kind of thing is on stdout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.running import MODES, Cli, process

COMMANDS: dict[str, tuple[str, ...]] = {
    "import": ("import", "{gallery}"),
    "import dry run": ("import", "{gallery}", "--dry-run"),
    "search text": ("search", "red circle", "-k", "3"),
    "search image": ("search", "--image", "{picture}", "-k", "3"),
    "search L2": ("search", "red circle", "-k", "3", "-c", "distances"),
    "search terms": ("search", "circle", "--and", "0.5:{picture}", "--not", "red", "-k", "3"),
    "search groups": ("search", "star", "--group-by", "folder"),
    "show": ("show", "{picture}"),
    "tag": ("tag", "{picture}", "--add", "Sea Side"),
    "collections list": ("collections", "list"),
    "collections show": ("collections", "show", "images"),
    "collections create": ("collections", "create", "fresh", "--model", "shapes"),
    "collections drop": ("collections", "drop", "distances", "--yes"),
    "collections rename": ("collections", "rename", "distances", "others"),
    "collections alias": ("collections", "alias", "images", "mine"),
    "collections compact": ("collections", "compact", "images"),
    "collections export": ("collections", "export", "images", "rows.npz"),
    "collections copy": ("collections", "copy", "images", "--to", "embedded", "--as", "second"),
    "target list": ("target", "list"),
    "target show": ("target", "show", "stack"),
    "target use": ("target", "use", "embedded"),
    "models list": ("models", "list"),
    "models show": ("models", "show", "shapes"),
    "models pull": ("models", "pull", "shapes"),
    "config show": ("config", "show"),
    "config show origin": ("config", "show", "--origin"),
    "config path": ("config", "path"),
    "config init": ("config", "init"),
    "health": ("health",),
    "doctor": ("doctor",),
}
# What has to be somewhere in stdout, in the modes named.
EXPECTED: dict[str, dict[str, str]] = {
    "import": {"human": "40 unchanged", "plain": "unchanged\t40", "json": '"unchanged": 40'},
    "import dry run": {
        "human": "Would import",
        "plain": "unchanged\t40",
        "json": '"dry_run": true',
    },
    "search text": {"human": "COSINE, higher is better", "plain": "-circle-", "quiet": "-circle-"},
    "search image": {"human": "1.0000", "plain": "1\t1.0000", "json": '"rank": 3'},
    "search L2": {"human": "L2, lower is better", "plain": "ID: ", "json": '"better": "lower"'},
    "search terms": {"human": "COSINE", "plain": "1\t0.", "json": '"weight": -1.0'},
    "search groups": {"human": "pictures", "plain": "/more\t10", "json": '"size": 10'},
    "show": {
        "human": "as imported",
        "plain": "format\tPNG",
        "json": '"file": "as',
        "quiet": ".png",
    },
    "tag": {
        "human": "1 changed",
        "plain": "png\tSea Side",
        "json": '"changed": 1',
        "quiet": ".png",
    },
    "collections list": {"human": "images *", "plain": "images\t40\tshapes", "quiet": "distances"},
    "collections show": {"human": "fingerprint", "plain": "rows\t40", "quiet": "images"},
    "collections create": {"human": "rows 0", "plain": "rows\t0", "json": '"rows": 0'},
    "collections drop": {"human": "dropped distances", "json": '"rows": 40', "quiet": "distances"},
    "collections rename": {"human": "others", "json": '"metric": "L2"', "quiet": "others"},
    "collections alias": {"human": "mine", "plain": "aliases\tmine", "quiet": "images"},
    "collections compact": {"human": "compacted images", "json": '"freed"', "quiet": "images"},
    "collections export": {"human": "rows 40", "plain": "rows\t40", "json": '"rows": 40'},
    "collections copy": {"human": "40 new", "plain": "new\t40", "json": '"new": 40'},
    "target list": {"human": "embedded *", "plain": "*\tembedded\t", "quiet": "stack"},
    "target show": {"human": "19530", "plain": "milvus_uri\thttp://127.0.0.1:19530"},
    "target use": {"human": "embedded", "quiet": "embedded", "json": '"current": true'},
    "models list": {"human": "shapes", "json": '"source": "built-in"', "quiet": "shapes"},
    "models show": {"human": "fingerprint", "plain": "family\tclip", "quiet": "shapes"},
    "models pull": {"human": "fingerprint", "plain": "family\tclip", "quiet": "shapes"},
    "config show": {"human": "batch_size", "plain": "batch_size\t32", "quiet": "batch_size=32"},
    "config show origin": {"human": "default", "plain": "batch_size\t32\tdefault"},
    "config path": {"human": "config.toml", "plain": "user\t", "quiet": "config.toml"},
    "config init": {"human": "clipstack.toml", "quiet": "clipstack.toml", "json": '"written"'},
    "health": {"human": "80 rows in 2", "plain": "model\tok\t", "json": '"healthy": true'},
    "doctor": {"human": "pymilvus", "plain": "versions\tok\tpymilvus", "json": '"ok": true'},
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", COMMANDS)
def test_command_in_mode(name: str, mode: str, cli: Cli, gallery: Path, imported: Path) -> None:
    picture = next(gallery.glob("*.png"))
    args = [part.format(gallery=gallery, picture=picture) for part in COMMANDS[name]]
    ran = cli(*args, mode=mode)
    assert ran.code == 0, ran.err + ran.out
    expected = EXPECTED[name].get(mode, "")
    if mode == "human":  # long paths are folded
        assert expected.replace(" ", "") in ran.text.replace(" ", "")
    else:
        assert expected in ran.out
    if mode == "human":
        assert "\x1b[" in ran.out + ran.err, "a terminal gets colours"
    else:
        assert "\x1b" not in ran.out + ran.err, "a pipe gets none"
    if mode == "json":
        json.loads(ran.out)
    if mode == "quiet":
        assert ran.err == ""


def test_the_table_names_every_command() -> None:
    import typer.main

    from clipstack.cli.app import tree

    commands = set()
    for name, command in typer.main.get_command(tree()).commands.items():  # type: ignore[attr-defined]
        commands |= {f"{name} {sub}" for sub in getattr(command, "commands", {})} or {name}
    tested = {
        " ".join(args[:2]) if args[0] in {"collections", "target", "models", "config"} else args[0]
        for args in COMMANDS.values()
    }
    # These have tests of their own in this folder, in tests/page and in tests/stack.
    of_stack = {"up", "down", "start", "stop", "restart", "status", "logs", "open"}
    elsewhere = {f"collections {name}" for name in ("load", "release", "import")}
    assert (
        commands - tested
        == {"demo", "bench", "page", "serve", "build", "models optimize"} | of_stack | elsewhere
    )


@pytest.mark.parametrize("columns", ["1", "20", "80", "1000"])
def test_json_parses_at_any_width(
    columns: str, cli: Cli, imported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert len(cli("search", "star", "-k", "30", mode="json").json["hits"]) == 30
    assert cli("collections", "show", "nowhere", mode="json").json["error"]["code"] == 6


def test_plain_lines_are_not_cut_or_folded(
    cli: Cli, imported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    lines = cli("search", "star", "-k", "5").out.splitlines()
    assert len(lines) == 5
    assert all(Path(line.split("\t")[2]).is_file() for line in lines)


def test_no_color_on_a_terminal(cli: Cli, imported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def colours(text: str) -> bool:
        import re

        return bool(re.search(r"\x1b\[[0-9;]*3[0-9]", text))

    assert colours(cli("collections", "list", mode="human").err + cli("foo", mode="human").err)
    assert not colours(cli("--no-color", "foo", mode="human").err)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colours(cli("foo", mode="human").err)


def test_a_closed_pipe_is_no_error(imported: Path) -> None:
    running = process("search", "star", "-k", "40")
    assert running.stdout
    assert running.stderr
    running.stdout.close()
    assert "Traceback" not in running.stderr.read()
    assert running.wait() == 0
