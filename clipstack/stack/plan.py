"""A stack's variables in; what starting it would do, without doing it, out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clipstack.settings import stack_variables
from clipstack.stack import compose, containers, preflight
from clipstack.stack.check import Check
from clipstack.stack.services import StackService


@dataclass(frozen=True, slots=True)
class Plan:
    """What `up` would do.

    Attributes:
        actions: what would become of each service, in words.
        changed: variables that differ from their defaults; secrets only as "(set)".
        files: of compose that would be used.
    """

    project: str
    values: Mapping[str, str]
    services: Sequence[StackService]
    actions: dict[str, str]
    changed: dict[str, str]
    files: list[Path]
    checks: list[Check]


def plan(
    project: str, values: Mapping[str, str], services: Sequence[StackService], checks: list[Check]
) -> Plan:
    """What `up` would do with these checks behind it.

    Raises:
        PrerequisiteError: Docker can't be used.
    """
    client = containers.client()
    there = containers.containers(client, project)
    ids = preflight.image_ids(client, values, services)

    def action(one: StackService) -> str:
        if not ids[one.name]:
            return "built" if preflight.is_made_here(one, values) else "fetched and started"
        container = there.get(one.name)
        if container is None:
            return "started"
        if container.image_id != ids[one.name]:
            return "replaced"
        return "left running" if container.state == "running" else "started again"

    defaults = stack_variables.defaults()
    changed = {
        name: "(set)" if name in stack_variables.SECRETS else value
        for name, value in sorted(values.items())
        if value and value != defaults.get(name) and name != stack_variables.PROJECT
    }
    actions = {one.name: action(one) for one in services}
    return Plan(project, values, services, actions, changed, compose.files(values), checks)
