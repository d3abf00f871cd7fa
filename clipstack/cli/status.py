"""`clipstack status` and `clipstack open`."""

from __future__ import annotations

from typing import Annotated

import typer

from clipstack.cli.options import Option
from clipstack.cli.stack_options import Project, stack_of
from clipstack.cli.state import state_of
from clipstack.errors import ExitCode


def status(
    ctx: typer.Context,
    watch: Annotated[bool, Option("--watch", "-w", help="Repeat until Ctrl-C.")] = False,
    project: Project = None,
) -> None:
    """Show each service's state, address and use of CPU, memory and disk.

    The exit code is 0 if all run, 3 if some do not, and 5 if none does.
    """
    state = state_of(ctx)
    stack = stack_of(state, project)
    from clipstack.output import stack_views
    from clipstack.stack import status as states

    if watch:
        stack_views.watch(state.out, lambda: states.read_status(stack.project, stack.values))
    stack_status = states.read_status(stack.project, stack.values)
    state.out.show(stack_views.status(stack_status))
    if stack_status.is_absent:
        state.out.hint(f"The stack {stack.project} is not running. `clipstack up` starts it.")
        raise typer.Exit(ExitCode.UNREACHABLE)
    if not stack_status.is_ready:
        late = [each.name for each in stack_status.services if not each.is_ready]
        state.out.hint(f"`clipstack logs {' '.join(late)}` says more, `clipstack up` mends it.")
        raise typer.Exit(ExitCode.UNHEALTHY)


def open_(
    ctx: typer.Context,
    service: Annotated[
        str | None,
        typer.Argument(
            metavar="[SERVICE]", help="bentoml, milvus or attu.", show_default="bentoml"
        ),
    ] = None,
    project: Project = None,
) -> None:
    """Open a service's page in the browser: bentoml's, Milvus' own, or Attu's."""
    state = state_of(ctx)
    stack = stack_of(state, project)
    from clipstack.output.tables import key_value_view
    from clipstack.stack import console_urls

    name = service or "bentoml"
    url = console_urls.console_url(stack.project, stack.values, name)
    state.out.show(key_value_view({"service": name, "url": url}, quiet=[url]))
    if console_urls.has_browser():
        typer.launch(url)
    else:
        state.out.note("There is no display here to open it on.")
