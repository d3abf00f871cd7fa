"""Options that the commands of the stack share, and the stack that they name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from clipstack.cli.options import Option
from clipstack.cli.state import State

if TYPE_CHECKING:
    from clipstack.settings import Settings

Services = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SERVICE]...", help="Only these: etcd, minio, milvus, bentoml, attu."),
]
Project = Annotated[
    str | None,
    Option("--project", "-p", metavar="NAME", help="The stack's name.", show_default="clipstack"),
]
Wait = Annotated[
    bool, Option("--wait/--no-wait", help="Wait until the services answer, or only start them.")
]
Timeout = Annotated[
    float, Option(metavar="SECONDS", min=1, help="Give up waiting after this long.")
]


@dataclass(frozen=True, slots=True)
class SelectedStack:
    """The stack that a command works with.

    Attributes:
        project: its name.
        values: the variables of its Compose file.
        is_default: whether it is the one of the target `stack`.
    """

    settings: Settings
    project: str
    values: dict[str, str]
    is_default: bool


def stack_of(state: State, project: str | None) -> SelectedStack:
    """The stack that `--project`, or the settings, name."""
    from clipstack.settings import stack_variables, targets

    settings = state.settings(project=project, target=targets.STACK)
    values = stack_variables.variables(settings.project, settings.stack)
    is_default = project is None or state.settings(target=targets.STACK).project == settings.project
    return SelectedStack(settings, settings.project, values, is_default)
