"""`clipstack logs`."""

from __future__ import annotations

from typing import Annotated

import typer

from clipstack.cli.options import Option
from clipstack.cli.stack_options import Project, Services, stack_of
from clipstack.cli.state import state_of


def logs(
    ctx: typer.Context,
    services: Services = None,
    follow: Annotated[bool, Option("--follow", "-f", help="Show new lines until Ctrl-C.")] = False,
    since: Annotated[
        str | None, Option(metavar="TIME", help="Only lines since then: 10m, 2h, or a date.")
    ] = None,
    tail: Annotated[
        int | None,
        Option("--tail", "-n", metavar="N", min=0, help="Only the last N lines of each service."),
    ] = None,
    timestamps: Annotated[
        bool, Option("--timestamps", "-t", help="Show when each line was written.")
    ] = False,
    project: Project = None,
) -> None:
    """Show the logs of the services, merged in the order of time.

    With --json, each line is one JSON document.
    """
    state = state_of(ctx)
    stack = stack_of(state, project)
    from clipstack.output.log_lines import LogWriter
    from clipstack.stack import containers, teardown
    from clipstack.stack import logs as log

    client = containers.client()
    start = log.parse_since(since) if since else None
    existing = teardown.require_containers(client, stack.project, services or [])
    lines = (log.follow if follow else log.read)(
        client, stack.project, list(existing), since=start, tail=tail
    )
    writer = LogWriter(state.out, list(existing), timestamps=timestamps)
    for line in lines:
        if not writer.write(line):
            return
