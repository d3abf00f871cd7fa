"""`clipstack doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clipstack.cli.options import Option
from clipstack.cli.state import State, announce, state_of
from clipstack.errors import ClipstackError
from clipstack.settings import Settings

_HEALTH_SECONDS = 5.0


def doctor(
    ctx: typer.Context,
    bundle: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="Also write all that helps to find a fault, without secrets, as .zip or .tar.gz.",
        ),
    ] = None,
) -> None:
    """Check this machine, Docker, the settings and what is installed, and say how to fix it.

    The exit code is 0 if nothing failed, 3 if something did, and 4 if the target can't start.
    """
    state = state_of(ctx)
    from clipstack import doctor as checks
    from clipstack.doctor import bundle as bundles
    from clipstack.output import doctor_views

    settings, problem = _settings(state)
    announce(state, settings)
    if bundle:
        bundles.check_name(bundle)
        if bundle.exists():
            state.out.confirm(f"Overwrite {bundle}?")
    from clipstack.cli.app import NAMES

    report = checks.examine(settings, problem, NAMES)
    if bundle:
        from clipstack import health
        from clipstack.output import health_views

        health_report = health.check(settings, seconds=_HEALTH_SECONDS)
        files = bundles.write(
            bundle, settings, doctor_views.document(report), health_views.document(health_report)
        )
        state.out.note(f"Wrote {bundle}: {len(files)} files. Look through it before you send it.")
    state.out.show(doctor_views.doctor(report, str(bundle) if bundle else ""))
    raise typer.Exit(report.code)


def _settings(state: State) -> tuple[Settings, ClipstackError | None]:
    """The settings in force; where they can't be read, the defaults and why."""
    try:
        return state.settings(), None
    except ClipstackError as error:
        return Settings(), error
