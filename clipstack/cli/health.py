"""`clipstack health`."""

from __future__ import annotations

from typing import Annotated

import typer

from clipstack.cli.options import Option
from clipstack.cli.state import announce, state_of

_SECONDS, _WAIT_SECONDS, _DEEP_SECONDS = 5.0, 120.0, 60.0


def health(
    ctx: typer.Context,
    services: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SERVICE]...", help="Only these.", show_default="all"),
    ] = None,
    wait: Annotated[bool, Option("--wait", help="Ask again until everything is healthy.")] = False,
    timeout: Annotated[
        float | None,
        Option(
            metavar="SECONDS",
            min=0.1,
            help="Seconds to wait for all answers.",
            show_default="5; 120 with --wait, 60 with --deep",
        ),
    ] = None,
    deep: Annotated[
        bool, Option("--deep", help="Also write data, read it back and delete it.")
    ] = False,
) -> None:
    """Ask every service for real work: read, list, query, encode.

    The exit code is 0 if everything is healthy, 3 if something is not, and 5 if nothing answers.
    """
    state = state_of(ctx)
    settings = state.settings()
    from clipstack import health as checks
    from clipstack.output import health_views

    announce(state, settings)
    names = services or []
    if wait:
        report = checks.wait(
            settings,
            names,
            seconds=timeout or _WAIT_SECONDS,
            deep=deep,
            on_change=lambda seen: state.out.note(health_views.waiting(seen)),
        )
    else:
        usual = _DEEP_SECONDS if deep else _SECONDS
        report = checks.check(settings, names, seconds=timeout or usual, deep=deep)
    state.out.show(health_views.health(report))
    if report.docker:
        state.out.warn(f"{report.docker}: the states of its containers are unknown")
        state.out.hint(report.docker_hint)
    raise typer.Exit(report.code)
