"""`clipstack down`."""

from __future__ import annotations

from typing import Annotated

import typer

from clipstack.cli.options import Option
from clipstack.cli.stack_options import Project, stack_of
from clipstack.cli.state import state_of


def down(
    ctx: typer.Context,
    delete_volumes: Annotated[
        bool, Option("--volumes", help="Delete the data too: all collections and vectors.")
    ] = False,
    project: Project = None,
) -> None:
    """Stop and remove the stack's containers; its data stays, unless --volumes deletes it."""
    state = state_of(ctx)
    stack = stack_of(state, project)
    from clipstack.output import stack_views
    from clipstack.output.stack_progress import StackProgress
    from clipstack.stack import containers, lifecycle, teardown
    from clipstack.stack.status import volume_sizes
    from clipstack.units import format_bytes

    if delete_volumes and (names := teardown.volume_names(containers.client(), stack.project)):
        sizes = volume_sizes(stack.project)
        total = sum(sizes.get(name) or 0 for name in names)
        what = f"{', '.join(names)} ({format_bytes(total)})" if total else ", ".join(names)
        state.out.confirm(f"Delete the data of the stack {stack.project}, volumes {what}?")
    with StackProgress(state.out) as progress:
        removed = teardown.down(stack.project, progress, delete_volumes=delete_volumes)
    state.out.show(stack_views.removed(stack.project, removed))
    if not removed.services and not removed.volumes:
        state.out.note(f"The stack {stack.project} was not up.")
    elif not delete_volumes:
        command = f"clipstack up{teardown.project_option(stack.project)}"
        state.out.note(f"Its data stays; `{command}` brings it back.")
    if stack.is_default and lifecycle.leave_current():
        state.out.note("`embedded` is the target of the next commands again.")
