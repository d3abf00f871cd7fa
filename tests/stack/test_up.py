"""`clipstack up` and `clipstack down`: real services, and data that stays until it is deleted."""

from __future__ import annotations

import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import MODES, Cli, process
from tests.stack.stacks import SERVICES, Stack, docker, health, removed

pytestmark = pytest.mark.usefixtures("stack_images")


@pytest.fixture(scope="module")
def up(
    stack_images: None, tmp_path_factory: pytest.TempPathFactory, gallery: Path
) -> Iterator[Stack]:
    """A stack that `clipstack up` started, with the gallery in it."""
    with removed(Stack(tmp_path_factory.mktemp("up"), "clipstack-test-up")) as stack:
        first = stack.clipstack("up", "--json")
        assert first.code == 0, first.out + first.err
        stack.first = first  # type: ignore[attr-defined]
        ran = stack.clipstack("import", gallery)
        assert ran.code == 0, ran.err
        yield stack


def search(stack: Stack) -> list[str]:
    ran = stack.clipstack("search", "red circle", "-k", "5", "--quiet")
    assert ran.code == 0, ran.err
    return ran.out.split()


def ids(stack: Stack) -> dict[str, str]:
    return {name: stack.container(name) for name in SERVICES}


def test_it_starts_what_answers(up: Stack) -> None:
    result, err = up.first.json, up.first.err  # type: ignore[attr-defined]
    assert result["project"] == up.project
    assert result["changed"] is True
    assert [service["name"] for service in result["services"]] == list(SERVICES)
    assert {service["health"] for service in result["services"]} == {"healthy"}
    addresses = {service["name"]: service["url"] for service in result["services"]}
    assert addresses["milvus"] == f"http://127.0.0.1:{up.port('MILVUS')}"
    milvus = next(service for service in result["services"] if service["name"] == "milvus")
    assert "etcd and minio" in milvus["waited_for"]
    assert result["encode"]["model"] == "shapes"
    assert result["search"]["seconds"] > 0
    assert "milvus waits for its health check" in err
    assert "`stack` is the target" in err


def test_nothing_is_left_of_the_smoke_test(up: Stack) -> None:
    ran = up.clipstack("collections", "list", "--quiet")
    assert ran.out.split() == ["images"]


def test_credentials_are_made_and_kept_to_their_owner(up: Stack) -> None:
    file = up.folder / "data" / "stacks" / up.project / "stack.env"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    lines = file.read_text().splitlines()
    (password,) = [line.split('"')[1] for line in lines if line.startswith("CLIPSTACK_MINIO_PASS")]
    inside = docker("inspect", "-f", "{{json .Config.Env}}", up.container("minio"))
    assert password in inside
    for args in (("up", "-v"), ("up", "--dry-run", "--json"), ("status", "--json")):
        ran = up.clipstack(*args)
        assert password not in ran.out + ran.err


def test_twice_is_fine(up: Stack) -> None:
    before = ids(up)
    ran = up.clipstack("up", "--json")
    assert ran.code == 0
    assert ran.json["changed"] is False
    assert ran.json["search"]["collection"] == "images", "what is there is searched"
    assert ids(up) == before
    assert "was up already" in ran.err


@pytest.mark.parametrize("mode", MODES)
def test_modes(up: Stack, mode: str, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in up.environment.items():
        monkeypatch.setenv(name, value)
    url = f"http://127.0.0.1:{up.port('BENTOML')}"
    ran = cli("up", mode=mode)
    assert ran.code == 0
    if mode == "human":
        assert url in ran.text
        assert "BentoML" in ran.text
        assert "clipstack import" in ran.err
    elif mode == "plain":
        assert f"bentoml\t{url}\thealthy" in ran.out.splitlines()
    elif mode == "json":
        assert url in {service["url"] for service in ran.json["services"]}
    else:
        assert url in ran.out.splitlines()
        assert ran.err == ""
    assert "\x1b" not in ran.out or mode == "human"


def test_a_killed_service_comes_back_with_its_data(up: Stack) -> None:
    before = search(up)
    up.docker("kill", "milvus")
    up.docker("pause", "etcd")
    ran = up.clipstack("up", "--json")
    assert ran.code == 0, ran.out + ran.err
    assert ran.json["changed"] is True
    assert search(up) == before


@pytest.mark.parametrize("verb", ["kill", "rm --force"])
def test_a_service_killed_while_up_waits_is_started_again(up: Stack, verb: str) -> None:
    up.docker("stop", "milvus")
    running = process("up", "--timeout", "120", env=up.environment, cwd=up.folder)
    assert running.stderr
    for line in running.stderr:
        if "milvus waits for its health check" in line:
            break
    docker(*verb.split(), up.container("milvus"))
    _, err = running.communicate(timeout=200)
    assert running.returncode == 0, err
    assert health(up, "milvus") == "healthy"


def test_a_changed_variable_replaces_its_service_alone(up: Stack) -> None:
    before = ids(up)
    up.variables["CLIPSTACK_BENTOML_MEMORY"] = "3g"
    ran = up.clipstack("up", "--json")
    assert ran.code == 0, ran.out
    after = ids(up)
    assert [name for name in SERVICES if after[name] != before[name]] == ["bentoml"]
    assert docker("inspect", "-f", "{{.HostConfig.Memory}}", after["bentoml"]) == str(3 * 2**30)
    del up.variables["CLIPSTACK_BENTOML_MEMORY"]
    again = up.clipstack("up", "--json")
    assert again.json["changed"] is False, "what `up` was told is remembered"


def test_a_strange_env_file_changes_nothing(up: Stack) -> None:
    (up.folder / ".env").write_text("COMPOSE_PROJECT_NAME=other\nCLIPSTACK_MILVUS_PORT=1\n")
    up.variables |= {"COMPOSE_FILE": "nowhere.yaml", "COMPOSE_PROFILES": "attu"}
    try:
        ran = up.clipstack("up", "--json")
        assert ran.code == 0, ran.out
        assert ran.json["changed"] is False
    finally:
        del up.variables["COMPOSE_FILE"], up.variables["COMPOSE_PROFILES"]


def test_it_says_what_it_waited_for_when_it_gives_up(up: Stack) -> None:
    up.docker("stop", "milvus")
    ran = up.clipstack("up", "--timeout", "1", "--json")
    assert ran.code == 124
    assert "milvus waits for" in ran.json["error"]["message"]
    assert "clipstack logs milvus" in ran.json["error"]["hint"]

    up.docker("stop", "milvus")
    running = process("up", env=up.environment, cwd=up.folder)
    assert running.stderr
    for line in running.stderr:
        if "milvus waits" in line:
            break
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "`clipstack down` stops" in err
    assert "Traceback" not in err
    assert up.clipstack("up").code == 0


def test_a_service_that_keeps_dying(tmp_path: Path) -> None:
    tight = {"CLIPSTACK_ETCD_MEMORY": "6m"}
    with removed(Stack(tmp_path / "tight", "clipstack-test-up-tight", tight)) as stack:
        ran = stack.clipstack("up", "etcd", "--timeout", "9")
        assert ran.code == 124
        _, log = ran.err.split("etcd keeps exiting")
        assert "starting an etcd server" in log
        assert "last with out of memory" in ran.err
        assert "CLIPSTACK_ETCD_MEMORY" in ran.err


def test_two_stacks_side_by_side(up: Stack, tmp_path: Path) -> None:
    with removed(Stack(tmp_path / "second", "clipstack-test-up-second")) as second:
        ran = second.clipstack("up", "milvus", "--json")
        assert ran.code == 0, ran.out + ran.err
        assert [service["name"] for service in ran.json["services"]] == ["etcd", "minio", "milvus"]
        assert ran.json["encode"] is None
        assert ran.json["search"]["collection"] == ""
        assert second.clipstack("collections", "list", "--json").json == []
        assert second.container("bentoml") == ""
        assert second.clipstack("down", "--volumes", "--yes").code == 0
    assert len(search(up)) == 5


def test_data_stays_when_it_goes_down(up: Stack) -> None:
    before = search(up)
    down = up.clipstack("down", "--json")
    assert down.code == 0
    assert sorted(down.json["services"]) == sorted(SERVICES)
    assert down.json["volumes"] == []
    assert "`embedded` is the target" in down.err
    assert up.container("milvus") == ""
    again = up.clipstack("down")
    assert again.code == 0
    assert "was not up" in again.err
    assert up.clipstack("status").code == 5
    ran = up.clipstack("up", "--json")
    assert ran.code == 0, ran.out + ran.err
    assert search(up) == before


def test_volumes_are_deleted_only_after_a_yes(up: Stack) -> None:
    refused = up.clipstack("down", "--volumes", "--json")
    assert refused.code == 8
    assert f"{up.project}_milvus" in refused.json["error"]["message"]
    assert health(up, "milvus") == "healthy"
    removal = up.clipstack("down", "--volumes", "--yes", "--json")
    assert removal.code == 0
    assert set(removal.json["volumes"]) == {f"{up.project}_{name}" for name in SERVICES[:3]}
    label = f"label=com.docker.compose.project={up.project}"
    assert docker("volume", "ls", "-q", "--filter", label) == ""
    assert docker("network", "ls", "-q", "--filter", label) == ""
    assert not (up.folder / "data" / "stacks" / up.project / "stack.env").exists()
    assert up.clipstack("down", "--volumes").code == 0, "there is nothing left to ask about"
