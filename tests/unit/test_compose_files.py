"""compose.yaml and its overlays: what every service has, and what our table says of them."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from clipstack.settings import stack_variables
from clipstack.stack import compose
from clipstack.stack.services import EXTERNAL_S3, GPUS, SERVICES, selected_services

FOLDER = stack_variables.compose_folder()
FILES = sorted(FOLDER.glob("*.yaml"))
BASE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())


def variable(text: object) -> str:
    """The name in "${NAME:-default}"."""
    match = re.search(r"\$\{(\w+)", str(text))
    assert match, text
    return match[1]


def test_the_table_has_every_service() -> None:
    assert set(SERVICES) == set(BASE["services"])


@pytest.mark.parametrize("name", SERVICES)
def test_the_table_says_what_the_file_says(name: str) -> None:
    service, entry = BASE["services"][name], SERVICES[name]
    assert variable(service["image"]) == entry.image_variable
    assert [variable(port["published"]) for port in service["ports"]] == [
        port.variable for port in entry.ports
    ]
    assert set(service.get("depends_on", {})) == set(entry.depends_on)
    assert variable(service["mem_limit"]) == entry.memory_variable
    assert bool(service.get("profiles")) == entry.optional


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_checked_bounded_and_private(name: str) -> None:
    service = BASE["services"][name]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["logging"]["options"]["max-size"]
    assert service["restart"] == "unless-stopped"
    assert "container_name" not in service, "two stacks would collide"
    assert {variable(port["host_ip"]) for port in service["ports"]} == {"CLIPSTACK_BIND_ADDRESS"}
    for other, condition in (service.get("depends_on") or {}).items():
        assert condition["condition"] == "service_healthy", other


def test_nothing_listens_for_others_unless_asked() -> None:
    assert stack_variables.defaults()["CLIPSTACK_BIND_ADDRESS"] == "127.0.0.1"


def test_images_are_pinned() -> None:
    for name, service in SERVICES.items():
        tag = stack_variables.defaults()[service.image_variable].rpartition(":")[2]
        assert tag not in ("", "latest") or name == "bentoml", name


def test_a_default_stands_in_one_place() -> None:
    defaults: dict[str, list[str]] = {}
    for file in FILES:
        for name, default in re.findall(r"\$\{(CLIPSTACK_\w+):-([^}]*)\}", file.read_text()):
            defaults.setdefault(name, []).append(default)
    assert {name: given for name, given in defaults.items() if len(given) > 1} == {}


def test_overlays_are_asked_for_by_variables() -> None:
    def names(**given: str) -> list[str]:
        return [file.name for file in compose.files(given)]

    assert names() == ["compose.yaml"]
    assert names(**{GPUS: "all"}) == ["compose.yaml", "compose.gpu.yaml"]
    assert names(**{EXTERNAL_S3: "s3:9000"}) == ["compose.yaml", "compose.external-s3.yaml"]


def test_services_come_with_what_they_need() -> None:
    def names(*asked: str, **given: str) -> list[str]:
        return [service.name for service in selected_services(given, asked)]

    assert names() == ["etcd", "minio", "milvus", "bentoml"]
    assert names("bentoml") == ["bentoml"]
    assert names("attu") == ["etcd", "minio", "milvus", "attu"]
    assert names("milvus", **{EXTERNAL_S3: "s3:9000"}) == ["etcd", "milvus"]


def test_compose_sees_no_variable_of_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPSTACK_MILVUS_PORT", "1")
    monkeypatch.setenv("COMPOSE_FILE", "other.yaml")
    monkeypatch.setenv("DOCKER_HOST", "unix:///here")
    given = compose.environment({"CLIPSTACK_ETCD_PORT": "2"})
    assert given["CLIPSTACK_ETCD_PORT"] == "2"
    assert given["DOCKER_HOST"] == "unix:///here"
    assert "CLIPSTACK_MILVUS_PORT" not in given
    assert "COMPOSE_FILE" not in given
