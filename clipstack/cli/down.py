"""`clipstack down`."""

from __future__ import annotations

from typing import Annotated

import typer

from clipstack.cli.options import Option
from clipstack.cli.stack_options import Project, Timeout, changing, stack_of
from clipstack.cli.state import state_of


def down(
    ctx: typer.Context,
    delete_volumes: Annotated[
        bool, Option("--volumes", help="Delete the data too: all collections and vectors.")
    ] = False,
    timeout: Timeout = 300,
    project: Project = None,
) -> None:
    """Stop and remove the stack's containers; its data stays, unless --volumes deletes it."""
    state = state_of(ctx)
    stack = stack_of(state, project)
    from clipstack.output import stack_views
    from clipstack.output.stack_progress import StackProgress
    from clipstack.settings import targets
    from clipstack.settings.stack_variables import DOCKER
    from clipstack.stack import containers, endpoint, published_ports, teardown
    from clipstack.stack.deadline import Deadline
    from clipstack.stack.status import volume_sizes
    from clipstack.units import format_bytes

    where = endpoint.current()
    if not where.is_default and not state.out.verbose:
        state.out.note(f"Docker: {where}")
    if delete_volumes and (names := teardown.volume_names(containers.client(), stack.project)):
        sizes = volume_sizes(stack.project)
        total = sum(sizes.get(name) or 0 for name in names)
        what = f"{', '.join(names)} ({format_bytes(total)})" if total else ", ".join(names)
        question = f"Delete the data of the stack {stack.project} in Docker at {where}"
        state.out.confirm(f"{question}, volumes {what}?")
    deadline = Deadline(timeout)
    with (
        changing(state, project, "down", deadline) as stack,
        StackProgress(state.out) as progress,
    ):
        removed = teardown.down(
            stack.project, progress, delete_volumes=delete_volumes, deadline=deadline
        )
    state.out.show(stack_views.removed(stack.project, removed, str(where)))
    for network, names in removed.networks.items():
        inside = f"the container {', '.join(names)} is" if names else "something is"
        state.out.note(f"The network {network} stays: {inside} still connected to it.")
    if not removed.services and not removed.volumes:
        state.out.note(f"The stack {stack.project} was not up.")
    elif not delete_volumes:
        command = f"clipstack up{teardown.project_option(stack.project)}"
        state.out.note(f"Its data stays; `{command}` brings it back.")
    if published_ports.is_elsewhere(stack.values):
        state.out.note(f"The one in Docker at {stack.values[DOCKER]} stays as it is.")
    elif targets.leave_stack(stack.project):
        state.out.note("`embedded` is the target of the next commands again.")
