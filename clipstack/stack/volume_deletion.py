"""Deletion of a stack's volumes: all of them, or none.

Each holds a part of the data that is useless without the others.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path

from clipstack.errors import ClipstackError, ExitCode, UnreachableError
from clipstack.events import Events
from clipstack.settings import atomic_file, stack_variables
from clipstack.stack import containers


def check_unused(client: containers.DockerClient, project: str, names: Sequence[str]) -> None:
    """Check that nothing but the stack uses these volumes.

    Raises:
        UnreachableError: a container of something else does.
    """
    users = {name: containers.volume_users(client, name, except_for=project) for name in names}
    users = {name: using for name, using in users.items() if using}
    if users:
        holders = sorted({holder for using in users.values() for holder in using})
        raise UnreachableError(
            f"nothing was deleted: {_list(users)}",
            hint=f"`docker rm --force {' '.join(holders)}` removes "
            "what uses them; then type this again.",
        )


def delete(client: containers.DockerClient, project: str, names: Sequence[str]) -> None:
    """Delete volumes of a stack that has no containers.

    What is to be deleted is written down first, so that `finish` can go on after an interruption.

    Raises:
        ClipstackError: some can't be deleted (exit code 7).
    """
    if not names:
        return
    created = {
        volume["Name"]: volume.get("CreatedAt", "")
        for volume in containers.list_volumes(client, project)
        if volume["Name"] in names
    }
    file = _file(project)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    atomic_file.replace(file, json.dumps({"volumes": created}))
    left = [name for name in names if not containers.remove_volume(client, name)]
    if left:
        users = {name: containers.volume_users(client, name) for name in left}
        deleted = [name for name in names if name not in left]
        raise ClipstackError(
            f"{', '.join(deleted) or 'nothing'} was deleted, {_list(users)}",
            hint="What is left is useless without the rest. `clipstack down --volumes` deletes it "
            "as soon as nothing uses it.",
            code=ExitCode.PARTIAL,
        )
    file.unlink(missing_ok=True)


def finish(client: containers.DockerClient, project: str, events: Events) -> None:
    """Delete what an interrupted `down --volumes` left.

    Raises:
        UnreachableError, ClipstackError: as `check_unused` and `delete`.
    """
    try:
        created = dict(json.loads(_file(project).read_text("utf-8"))["volumes"])
    except (OSError, ValueError, LookupError, TypeError):
        return
    names = []
    for volume in sorted(containers.list_volumes(client, project), key=itemgetter("Name")):
        name = volume["Name"]
        if name in created:
            names.append(name)
            # One that was made or used since then is not what was to be deleted, nor are the rest.
            if created[name] != volume.get("CreatedAt", ""):
                names = []
                break
    if names:
        events.note(f"`down --volumes` was interrupted: {', '.join(names)} are deleted now.")
        check_unused(client, project, names)
        containers.remove_all(client, project)
        delete(client, project, names)
    _file(project).unlink(missing_ok=True)


def _list(users: dict[str, list[str]]) -> str:
    return "; ".join(
        f"{name} is in use" + (f" by the container {', '.join(names)}" if names else "")
        for name, names in users.items()
    )


def _file(project: str) -> Path:
    return stack_variables.stack_folder(project) / "deletion.json"
