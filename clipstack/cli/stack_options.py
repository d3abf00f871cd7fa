"""Options that the commands of the stack share, and the stack that they name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from clipstack.cli.options import Option
from clipstack.cli.state import State
from clipstack.errors import UsageError

if TYPE_CHECKING:
    from clipstack.settings import Settings
    from clipstack.stack.deadline import Deadline

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
WaitFor = Annotated[
    list[str] | None,
    Option("--wait-for", metavar="SERVICE", help="Wait for this one only; may be repeated."),
]
Timeout = Annotated[
    float, Option(metavar="SECONDS", min=1, help="Give up after this long, all in all.")
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


@contextmanager
def changing(
    state: State, project: str | None, command: str, deadline: Deadline
) -> Iterator[SelectedStack]:
    """The stack that `--project`, or the settings, name, to this command alone.

    Its variables are read after another command that changed it.
    """
    from clipstack.output.stack_progress import StackProgress
    from clipstack.settings import targets
    from clipstack.stack.stack_lock import locked

    with ExitStack() as exits:
        with StackProgress(state.out) as progress:
            name = state.settings(project=project, target=targets.STACK).project
            exits.enter_context(locked(name, command, progress, deadline))
        yield stack_of(state, project)


def waited_for(names: list[str] | None, *, wait: bool) -> tuple[str, ...]:
    """The services that `--wait-for` names.

    Raises:
        UsageError: --no-wait was given too.
    """
    selected = tuple(name.strip() for text in names or () for name in text.split(","))
    if selected and not wait:
        raise UsageError("--wait-for and --no-wait exclude each other")
    return selected


def stack_of(state: State, project: str | None) -> SelectedStack:
    """The stack that `--project`, or the settings, name."""
    from clipstack.settings import stack_variables, targets

    settings = state.settings(project=project, target=targets.STACK)
    values = stack_variables.variables(settings.project, settings.stack)
    is_default = project is None or state.settings(target=targets.STACK).project == settings.project
    name_engine(state)
    return SelectedStack(settings, settings.project, values, is_default)


def name_engine(state: State) -> None:
    """Say under --verbose which engine of Docker is used."""
    if state.out.verbose:
        from clipstack.stack import endpoint

        state.out.detail(f"Docker: {endpoint.current()}")
