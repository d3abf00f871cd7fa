"""`clipstack start`, `clipstack stop` and `clipstack restart`."""

from __future__ import annotations

import typer

from clipstack.cli.stack_options import Project, Services, Timeout, Wait, stack_of
from clipstack.cli.state import State, state_of


def start(
    ctx: typer.Context,
    services: Services = None,
    wait: Wait = True,
    timeout: Timeout = 300,
    project: Project = None,
) -> None:
    """Start services that were stopped, and wait until they answer."""
    _start(state_of(ctx), services, wait, timeout, project, stop_first=False)


def restart(
    ctx: typer.Context,
    services: Services = None,
    wait: Wait = True,
    timeout: Timeout = 300,
    project: Project = None,
) -> None:
    """Stop and start services, and wait until they answer."""
    _start(state_of(ctx), services, wait, timeout, project, stop_first=True)


def stop(ctx: typer.Context, services: Services = None, project: Project = None) -> None:
    """Stop services; their containers and data stay."""
    state = state_of(ctx)
    stack = stack_of(state, project)
    from clipstack.output import stack_views
    from clipstack.output.stack_progress import StackProgress
    from clipstack.stack import teardown

    with StackProgress(state.out) as progress:
        names = teardown.stop(stack.project, services or [], progress)
    state.out.show(stack_views.stopped(stack.project, names))
    if names:
        command = " ".join(["clipstack start", *(services or [])])
        option = teardown.project_option(stack.project)
        state.out.hint(f"`{command}{option}` starts them again.")
    else:
        state.out.note("They were stopped already.")


def _start(
    state: State,
    services: list[str] | None,
    wait: bool,
    timeout: float,
    project: str | None,
    *,
    stop_first: bool,
) -> None:
    stack = stack_of(state, project)
    from clipstack.output import stack_views
    from clipstack.output.stack_progress import StackProgress
    from clipstack.stack import lifecycle

    options = lifecycle.StartOptions(
        timeout,
        wait,
        milvus_token=stack.settings.milvus_token,
        collection=stack.settings.collection,
    )
    with StackProgress(state.out) as progress:
        result = lifecycle.start(
            stack.project, stack.values, services or [], progress, options, stop_first=stop_first
        )
    state.out.show(stack_views.started(result))
    if not result.changed:
        state.out.note("They ran already.")
