"""compose.yaml and errors.py against what milvus_versions.toml says of each version of Milvus."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from pymilvus.exceptions import MilvusException

from clipstack.index.milvus.errors import translate_error
from clipstack.settings import stack_variables

FACTS: dict[str, Any] = tomllib.loads(
    Path(__file__).with_name("milvus_versions.toml").read_text("utf-8")
)
ERRORS: dict[str, Any] = FACTS.pop("errors")
SERVICES: dict[str, Any] = yaml.safe_load(
    (stack_variables.compose_folder() / "compose.yaml").read_text("utf-8")
)["services"]
MILVUS = SERVICES["milvus"]
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "stack.md"
# Without it Milvus asks the object store for its region; compose.external-s3.yaml sets it.
LEFT_OUT = {"MINIO_REGION"}


@pytest.fixture(params=FACTS)
def facts(request: pytest.FixtureRequest) -> dict[str, Any]:
    return FACTS[request.param]


def test_it_is_started_as_milvus_starts_it(facts: dict[str, Any]) -> None:
    assert MILVUS["command"] == facts["command"]
    assert f"seccomp:{facts['seccomp']}" in MILVUS["security_opt"]
    given = MILVUS["environment"]
    for name in facts["environment"].keys() - LEFT_OUT:
        assert given[name] == facts["environment"][name]
    assert {"MINIO_ACCESS_KEY_ID", "MINIO_SECRET_ACCESS_KEY"} <= given.keys()


def test_its_data_are_on_a_volume_that_its_user_may_write(facts: dict[str, Any]) -> None:
    assert MILVUS["volumes"] == [f"milvus:{facts['data']}"]
    # A volume of a version that runs as root is root's, whatever version comes next.
    assert any(version["user"] == "root" for version in FACTS.values())
    user = re.fullmatch(r"\$\{CLIPSTACK_MILVUS_USER:-(.*)\}", MILVUS["user"])
    assert user
    assert user[1] == "0:0"


def test_its_ports_and_health_check(facts: dict[str, Any]) -> None:
    assert [port["target"] for port in MILVUS["ports"]] == facts["ports"]
    assert MILVUS["healthcheck"]["test"][-1] == facts["health"]
    assert SERVICES["attu"]["ports"][0]["target"] == facts["attu_port"]


def test_the_image_is_of_a_version_with_facts() -> None:
    tag = stack_variables.defaults()["CLIPSTACK_MILVUS_IMAGE"].rpartition(":v")[2]
    assert tag in FACTS


def test_the_documentation_says_what_was_run_and_what_was_read() -> None:
    text = DOCUMENTATION.read_text("utf-8")
    for version, facts in FACTS.items():
        assert f"| Milvus {version} | {'run' if facts['run'] else 'read'} |" in text


@pytest.mark.parametrize(("code", "text"), ERRORS["texts"].items())
def test_what_milvus_would_try_again_is_tried_again(code: str, text: str) -> None:
    error = MilvusException(int(code), f"{text}[collection=1]")
    failure = translate_error(error, "http://milvus:19530")
    assert failure is not None
    if int(code) in ERRORS["retriable"]:
        assert failure.is_transient
    elif re.search("not found$|limit number|invalid|missing|too large|conflict|already", text):
        # A node, segment, channel or topic comes back, what the user named does not.
        assert failure.is_transient == bool(re.match("node|segment|channel|topic", text))
