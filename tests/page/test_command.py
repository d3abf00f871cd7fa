"""The `clipstack page` command: what it prints, how it ends, and that the page has every option."""

from __future__ import annotations

import re
import signal
import socket
from importlib import resources
from pathlib import Path

import pytest
import typer.main

from clipstack.cli.app import tree
from clipstack.page.address import page_address
from clipstack.page.filter_controls import insert_controls
from tests.page.pages import Workspace, run_page
from tests.running import MODES, Cli, process
from tests.serving import free_port

# An option of `clipstack search`, and where the page has it: the id of an element; or why not.
IN_THE_PAGE = {
    "text": "words",
    "image": "pick",
    "like": "hits",
    "and_": "also",
    "not_": "unlike",
    "prompt": "prompt",
    "limit": "limit",
    "offset": "more",
    "collection": "collection",
    "min_score": "cut-value",
    "under": "under",
    "since": "since",
    "until": "until",
    "camera": "camera",
    "format": "format",
    "min_width": "min_width",
    "min_height": "min_height",
    "tag": "tag",
    "near": "near",
    "filter": "filter",
    "diverse": "variety",
    "group_by": "variety",
    "sort": "sort",
}
# These are the page's own, for as long as it runs.
OF_THE_COMMAND = {"model", "device", "engine", "precision", "encoder_url", "search_params", "wait"}
# These are about what a terminal or a program reads.
OF_THE_TERMINAL = {"null", "queries", "preview", "html", "open_page", "help"}


def _options(command: str) -> set[str]:
    params = typer.main.get_command(tree()).commands[command].params  # type: ignore[attr-defined]
    return {param.name for param in params}


def test_the_page_has_every_option_of_the_command() -> None:
    html = insert_controls(
        (resources.files("clipstack.page") / "assets" / "index.html").read_text()
    )
    ids = set(re.findall(r'id="([^"]+)"', html))
    for option in _options("search") - OF_THE_TERMINAL:
        if option in OF_THE_COMMAND:
            assert option in _options("page"), option
        else:
            assert IN_THE_PAGE[option] in ids, option


@pytest.mark.parametrize("mode", MODES)
def test_without_a_database(cli: Cli, mode: str) -> None:
    ran = cli("page", "--port", "8898", mode=mode)
    assert ran.code == 6
    if mode == "json":
        assert "nothing is imported yet" in ran.json["error"]["message"]
    else:
        assert "nothing is imported yet" in ran.err


def test_a_taken_port(imported: Path, cli: Cli) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ran = cli("page", "--port", other.getsockname()[1])
    assert ran.code == 4
    assert "is taken" in ran.err


def test_a_token_that_is_too_short(imported: Path, cli: Cli) -> None:
    ran = cli("page", "--token", "abc")
    assert ran.code == 2
    assert "at least 8" in ran.err


def test_ctrl_c_ends_it_and_the_json_says_where_it_is(workspace: Workspace) -> None:
    with run_page(workspace, "-q") as server:
        assert server.url == f"http://127.0.0.1:{server.port}/"


def test_addresses() -> None:
    here = page_address("127.0.0.1", 8899)
    assert here.url_with_token == "http://127.0.0.1:8899/"
    assert here.accepts_host("localhost:8899")
    assert here.accepts_host("[::1]:8899")
    assert not here.accepts_host("192.168.1.5:8899")
    assert not here.accepts_host("localhost:8898")
    everywhere = page_address("0.0.0.0", 80)
    assert everywhere.token
    assert everywhere.accepts_host("192.168.1.5")
    assert not everywhere.accepts_host("rebound.example")
    assert page_address("::", 8899).url_with_token.startswith("http://[::1]:8899/#token=")
    assert everywhere.token not in repr(everywhere)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it(number: int, workspace: Workspace) -> None:
    running = process(
        *("page", "--port", free_port()), env=workspace.environment, cwd=workspace.folder
    )
    assert running.stdout
    assert running.stdout.readline()
    running.send_signal(number)
    _, err = running.communicate(timeout=20)
    assert running.returncode == 128 + number, err
    assert "Traceback" not in err
