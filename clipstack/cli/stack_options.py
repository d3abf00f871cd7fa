"""What the commands of the stack share: options, the stack's variables, and how to wait."""

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
class Chosen:
    """The stack a command is about.

    Attributes:
        is_usual: whether it is the one that the target `stack` means.
    """

    settings: Settings
    project: str
    values: dict[str, str]
    is_usual: bool


def stack_of(state: State, project: str | None) -> Chosen:
    """The stack that the settings, or `--project`, name, and its variables."""
    from clipstack.settings import stack_variables, targets

    settings = state.settings(project=project, target=targets.STACK)
    values = stack_variables.variables(settings.project, settings.stack)
    usual = project is None or state.settings(target=targets.STACK).project == settings.project
    return Chosen(settings, settings.project, values, usual)
