"""`clipstack demo`: the right pictures first, in every mode."""

from __future__ import annotations

from pathlib import Path

from tests.running import Cli


def test_demo_finds_what_it_looks_for(cli: Cli) -> None:
    told = cli("demo", mode="json").json
    assert told["import"]["counts"]["new"] == 200
    assert len(list(Path("clipstack-demo").glob("*.png"))) == 200
    names = [[Path(hit["path"]).name for hit in one["hits"]] for one in told["searches"]]
    wanted = [("two", "red", "star"), ("heart", "on-black"), ("yellow", "cross", "on-black")]
    for found, words in zip(names, wanted, strict=False):
        assert all(word in found[0] for word in words), (words, found)
    assert all("heart" in name and "on-black" in name for name in names[1])
    like = told["searches"][3]
    assert like["hits"][0]["path"].endswith(like["query"]["terms"][0]["image"])
    assert cli("collections", "show", "demo", mode="json").json["rows"] == 200
    again = cli("demo", mode="json").json
    assert again["import"]["counts"]["unchanged"] == 200


def test_demo_on_a_terminal_and_in_a_pipe(cli: Cli) -> None:
    shown = cli("demo", "scenes", mode="human")
    assert "200 new" in shown.text
    assert "two red stars" in shown.err or "two red stars" in shown.out
    assert "clipstack collections drop demo" in shown.out + shown.err
    plain = cli("demo", "scenes")
    assert plain.out.count("scenes/") == 20
    assert len(cli("demo", "scenes", mode="quiet").out.splitlines()) == 20


def test_demo_where_it_can_not_write(cli: Cli) -> None:
    Path("taken").write_text("a file")
    ran = cli("demo", "taken")
    assert ran.code == 1
    assert "clipstack demo FOLDER" in ran.err
