"""What earlier runs left on this machine and in Docker in; what can go, and how, out."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from clipstack.doctor import docker_inventory
from clipstack.doctor.docker_inventory import StackInventory
from clipstack.settings import data_dir, stack_variables
from clipstack.stack.check import Check, Level


def checks() -> list[Check]:
    """Stacks that `up` knows nothing of, notes of stacks that are gone, half-written files.

    A stack that runs is no leftover, whoever started it.
    """
    known = stack_variables.projects()
    found = []
    stacks = docker_inventory.stacks()
    if stacks is not None:
        found += [
            *(
                _unknown(one)
                for name, one in stacks.items()
                if name not in known and not one.running
            ),
            *(_stopped(name, stacks[name]) for name in known if _is_stopped(name, stacks)),
            *(_forgotten(name) for name in known if name not in stacks),
        ]
    found += [_half_written(path) for path in _new_files()]
    return found or [Check("leftovers", Level.OK, "none")]


def _unknown(one: StackInventory) -> Check:
    said = f"the stack {one.project} was not started by this user's `clipstack up`"
    fix = f"`docker compose -p {one.project} down --volumes` removes it and its data."
    return Check(f"stack {one.project}", Level.WARN, f"{said}: {one.in_words}", fix)


def _is_stopped(name: str, stacks: Mapping[str, StackInventory]) -> bool:
    return name in stacks and bool(stacks[name].stopped)


def _stopped(name: str, one: StackInventory) -> Check:
    said = f"stopped containers of the stack {name}: {', '.join(one.stopped)}"
    fix = "`clipstack start` starts them, `clipstack down` removes them and keeps their data."
    return Check(f"stack {name}", Level.WARN, said, fix)


def _forgotten(name: str) -> Check:
    path = stack_variables.stack_file(name)
    said = f"{path} holds credentials of a stack that has no containers and no volumes"
    return Check(f"stack {name}", Level.WARN, said, f"`rm {shlex.quote(str(path))}`")


def _new_files() -> list[Path]:
    folder = data_dir()
    return sorted([*folder.glob("*.new"), *folder.glob("stacks/*/*.new")])


def _half_written(path: Path) -> Check:
    said = f"{path} was left half-written"
    return Check("file", Level.WARN, said, f"`rm {shlex.quote(str(path))}`")
