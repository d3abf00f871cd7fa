"""`clipstack start`, `clipstack stop` and `clipstack restart`."""

from __future__ import annotations

import typer

from clipstack.cli.stack_options import (
    Project,
    Services,
    Timeout,
    Wait,
    WaitFor,
    changing,
    waited_for,
)
from clipstack.cli.state import state_of


def start(
    ctx: typer.Context,
    services: Services = None,
    wait: Wait = True,
    wait_for: WaitFor = None,
    timeout: Timeout = 300,
    project: Project = None,
) -> None:
    """Start services that were stopped, and wait until they answer."""
    _start(ctx, services, project, timeout, wait=wait, wait_for=wait_for, command="start")


def restart(
    ctx: typer.Context,
    services: Services = None,
    wait: Wait = True,
    wait_for: WaitFor = None,
    timeout: Timeout = 300,
    project: Project = None,
) -> None:
    """Stop and start services, and wait until they answer."""
    _start(ctx, services, project, timeout, wait=wait, wait_for=wait_for, command="restart")


def stop(
    ctx: typer.Context,
    services: Services = None,
    timeout: Timeout = 300,
    project: Project = None,
) -> None:
    """Stop services; their containers and data stay."""
    state = state_of(ctx)
    from clipstack.output import stack_views
    from clipstack.output.stack_progress import StackProgress
    from clipstack.stack import teardown
    from clipstack.stack.deadline import Deadline

    deadline = Deadline(timeout)
    with (
        changing(state, project, "stop", deadline) as stack,
        StackProgress(state.out) as progress,
    ):
        names = teardown.stop(stack.project, services or [], progress, deadline)
    state.out.show(stack_views.stopped(stack.project, names))
    if names:
        command = " ".join(["clipstack start", *(services or [])])
        option = teardown.project_option(stack.project)
        state.out.hint(f"`{command}{option}` starts them again.")
    else:
        state.out.note("They were stopped already.")


def _start(
    ctx: typer.Context,
    services: list[str] | None,
    project: str | None,
    timeout: float,
    *,
    wait: bool,
    wait_for: list[str] | None,
    command: str,
) -> None:
    state = state_of(ctx)
    from clipstack.output import stack_views
    from clipstack.output.stack_progress import StackProgress
    from clipstack.stack import lifecycle
    from clipstack.stack.deadline import Deadline

    deadline = Deadline(timeout)
    names = waited_for(wait_for, wait=wait)
    with (
        changing(state, project, command, deadline) as stack,
        StackProgress(state.out) as progress,
    ):
        options = lifecycle.StartOptions(
            deadline,
            wait,
            names,
            milvus_token=stack.settings.milvus_token,
            collection=stack.settings.collection,
        )
        result = lifecycle.start(
            stack.project,
            stack.values,
            services or [],
            progress,
            options,
            stop_first=command == "restart",
        )
    state.out.show(stack_views.started(result))
    if result.tunnel_hint:
        state.out.warn(result.tunnel_hint)
    if not result.changed:
        state.out.note("They ran already.")
