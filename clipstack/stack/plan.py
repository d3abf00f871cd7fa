"""What starting a stack would do."""

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
        actions: what would happen to each service, in words.
        changed: variables that differ from their defaults; secrets only as "(set)".
        files: the Compose files that would be used.
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
    """What `up` would do after these checks.

    Raises:
        PrerequisiteError: Docker can't be used.
    """
    client = containers.client()
    by_name = containers.list_containers(client, project)

    def action(service: StackService) -> str:
        image_id = containers.image_id(client, values[service.image_variable])
        if not image_id:
            built = preflight.is_built_locally(service, values)
            return "built" if built else "fetched and started"
        container = by_name.get(service.name)
        if container is None:
            return "started"
        if container.image_id != image_id:
            return "replaced"
        return "left running" if container.state == "running" else "started again"

    defaults = stack_variables.defaults()
    changed = {
        name: "(set)" if name in stack_variables.SECRETS else value
        for name, value in sorted(values.items())
        if value and name in defaults and value != defaults[name]
        if name != stack_variables.PROJECT
    }
    actions = {service.name: action(service) for service in services}
    return Plan(project, values, services, actions, changed, compose.files(values), checks)
