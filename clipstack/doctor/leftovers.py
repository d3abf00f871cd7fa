"""Leftovers of earlier runs on this machine and in Docker."""

from __future__ import annotations

import shlex
from pathlib import Path

from clipstack.doctor import docker_inventory
from clipstack.doctor.docker_inventory import StackInventory
from clipstack.settings import data_dir, stack_variables
from clipstack.stack.check import Check, Level
from clipstack.stack.teardown import project_option


def checks() -> list[Check]:
    """Stacks that this user's `up` did not start, credentials of removed stacks, partial files.

    A running stack is not a leftover, whoever started it.
    """
    projects = stack_variables.projects()
    checks = []
    stacks = docker_inventory.stacks()
    if stacks is not None:
        checks += [
            _unknown(stack)
            for project, stack in stacks.items()
            if project not in projects and not stack.running
        ]
        checks += [
            _ambiguous(stack, name)
            for stack in stacks.values()
            for name in stack.ambiguous_networks
        ]
        for project in projects:
            if project not in stacks or stacks[project].is_gone:
                checks.append(_forgotten(project))
            elif stacks[project].stopped:
                checks.append(_stopped(stacks[project]))
    checks += [_half_written(path) for path in _partial_files()]
    return checks or [Check("leftovers", Level.OK, "none")]


def _unknown(stack: StackInventory) -> Check:
    message = f"the stack {stack.project} was not started by this user's `clipstack up`"
    fix = f"`docker compose -p {stack.project} down --volumes` removes it and its data."
    return Check(f"stack {stack.project}", Level.WARN, f"{message}: {stack.summary}", fix)


def _ambiguous(stack: StackInventory, name: str) -> Check:
    message = f"Docker has {stack.networks.count(name)} networks {name}: Compose starts nothing"
    fix = f"`clipstack up{project_option(stack.project)}` makes it anew, and keeps the data."
    return Check(f"network {name}", Level.FAIL, message, fix)


def _stopped(stack: StackInventory) -> Check:
    message = f"stopped containers of the stack {stack.project}: {', '.join(stack.stopped)}"
    fix = "`clipstack start` starts them, `clipstack down` removes them and keeps their data."
    return Check(f"stack {stack.project}", Level.WARN, message, fix)


def _forgotten(project: str) -> Check:
    path = stack_variables.stack_file(project)
    message = f"{path} holds credentials of a stack that has no containers and no volumes"
    return Check(f"stack {project}", Level.WARN, message, f"`rm {shlex.quote(str(path))}`")


def _partial_files() -> list[Path]:
    folder = data_dir()
    return sorted([*folder.glob("*.new"), *folder.glob("stacks/*/*.new")])


def _half_written(path: Path) -> Check:
    message = f"{path} was left half-written"
    return Check("file", Level.WARN, message, f"`rm {shlex.quote(str(path))}`")
