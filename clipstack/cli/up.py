"""`clipstack up`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from clipstack import net
from clipstack.cli.options import Option
from clipstack.cli.stack_options import (
    Project,
    SelectedStack,
    Services,
    Timeout,
    Wait,
    stack_of,
)
from clipstack.cli.state import State, state_of
from clipstack.errors import ClipstackError, ExitCode, PrerequisiteError
from clipstack.units import format_duration

if TYPE_CHECKING:
    from clipstack.stack.check import Check
    from clipstack.stack.services import StackService


def up(
    ctx: typer.Context,
    services: Services = None,
    build: Annotated[bool, Option("--build", help="Build the encoder's image first.")] = False,
    pull: Annotated[bool, Option("--pull", help="Fetch the images first.")] = False,
    wait: Wait = True,
    timeout: Timeout = 300,
    gpu: Annotated[
        bool | None,
        Option("--gpu/--no-gpu", help="Give the encoder NVIDIA GPUs.", show_default="as last time"),
    ] = None,
    attu: Annotated[bool, Option("--attu", help="Start Attu too, Milvus in a browser.")] = False,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Only show what would be started, and with what.")
    ] = False,
    project: Project = None,
) -> None:
    """Start the stack on this machine: etcd, MinIO, Milvus and the encoder.

    It waits until Milvus answers a search and the encoder a text, and makes `stack` the target of
    the next commands. Twice is fine. `clipstack down` stops it and keeps its data.
    """
    state = state_of(ctx)
    stack = stack_of(state, project)
    from clipstack.stack import preflight
    from clipstack.stack.services import GPUS, selected_services

    if gpu is not None:
        stack.values[GPUS] = (stack.values.get(GPUS) or "all") if gpu else ""
    selected = selected_services(stack.values, services or [], attu=attu)
    checks = preflight.all_checks(stack.project, stack.values, selected)
    if dry_run:
        _show_plan(state, stack, selected, checks)
        return
    _build_or_refuse(state, stack, selected, checks, build=build)
    _warn(state, stack, checks)
    _start(state, stack, selected, wait=wait, timeout=timeout, pull=pull)


def _show_plan(
    state: State, stack: SelectedStack, selected: list[StackService], checks: list[Check]
) -> None:
    from clipstack.output import stack_views
    from clipstack.stack import preflight
    from clipstack.stack.plan import plan

    failed = preflight.failures(checks)
    if any(check.name in ("Docker", "Compose") for check in failed):
        raise _preflight_error(failed)
    state.out.show(stack_views.planned(plan(stack.project, stack.values, selected, checks)))
    _warn(state, stack, checks)
    for check in failed:
        state.out.warn(f"{check.message}. Fix: {check.fix}")
    if failed:
        raise typer.Exit(ExitCode.PREREQUISITE)


def _build_or_refuse(
    state: State,
    stack: SelectedStack,
    selected: list[StackService],
    checks: list[Check],
    *,
    build: bool,
) -> None:
    """Refuse to start if a check failed. A missing image of the encoder may be built now."""
    from clipstack.cli.build import make
    from clipstack.stack import preflight

    tag = stack.values["CLIPSTACK_BENTOML_IMAGE"]
    built_locally = any(preflight.is_built_locally(each, stack.values) for each in selected)
    failed = preflight.failures(checks)
    absent = [check for check in failed if built_locally and check.name == f"image {tag}"]
    if len(failed) > len(absent):
        raise _preflight_error(failed)
    if build and built_locally:
        make(state, {}, tag=tag)
    elif absent:
        try:
            state.out.confirm(f"There is no image {tag} yet. Build it now?")
        except ClipstackError as error:
            if error.code != ExitCode.CONFIRMATION:
                raise
            raise _preflight_error(absent) from None
        make(state, {}, tag=tag)


def _preflight_error(failed: list[Check]) -> ClipstackError:
    if len(failed) == 1:
        fix = failed[0].fix
        return PrerequisiteError(
            failed[0].message, hint=f"`{fix}`" if fix.startswith(("clip", "CLIP")) else fix
        )
    return PrerequisiteError(
        f"{len(failed)} things are in the way, and nothing was started",
        hint="\n".join(f"{check.message}\n  {check.fix}" for check in failed),
    )


def _warn(state: State, stack: SelectedStack, checks: list[Check]) -> None:
    from clipstack.stack.check import Level

    for check in checks:
        if check.level is Level.WARN:
            state.out.warn(f"{check.message}. {check.fix}")
    address = stack.values["CLIPSTACK_BIND_ADDRESS"]
    if not net.is_loopback(address):
        asks = _asks_for_password(stack)
        state.out.warn(
            f"The services listen on {address}: who reaches this machine reaches them. "
            + ("etcd asks" if asks else "Milvus and etcd ask")
            + " for no password."
            + ("" if asks else " CLIPSTACK_MILVUS_AUTHORIZATION=true makes Milvus ask.")
        )
    if _asks_for_password(stack) and not stack.settings.milvus_token:
        state.out.warn(
            "Milvus asks for a password. Everybody knows its first one, root:Milvus: change it, "
            "and put user:password into CLIPSTACK_MILVUS_TOKEN."
        )


def _asks_for_password(stack: SelectedStack) -> bool:
    return stack.values.get("CLIPSTACK_MILVUS_AUTHORIZATION") == "true"


def _start(
    state: State,
    stack: SelectedStack,
    selected: list[StackService],
    *,
    wait: bool,
    timeout: float,
    pull: bool,
) -> None:
    from clipstack.output import stack_views
    from clipstack.output.stack_progress import StackProgress
    from clipstack.stack import lifecycle

    options = lifecycle.StartOptions(
        timeout, wait, pull, stack.settings.milvus_token, stack.settings.collection
    )
    with StackProgress(state.out) as progress:
        result = lifecycle.up(stack.project, stack.values, selected, progress, options)
    state.out.show(stack_views.started(result))
    ready = all(service.is_ready for service in result.services)
    _note_outcome(state, stack, result.changed, result.seconds, ready)
    if not stack.is_default:
        state.out.hint(f"Set CLIPSTACK_PROJECT={stack.project} for commands that are to use it.")
    elif any(service.name == "milvus" for service in selected) and lifecycle.make_current():
        state.out.note("`stack` is the target of the next commands now.")
    if ready:
        state.out.hint("Next: `clipstack import FOLDER`, then `clipstack search dog`.")
    else:
        state.out.hint("`clipstack status` says how far it is.")


def _note_outcome(
    state: State, stack: SelectedStack, changed: bool, seconds: float, ready: bool
) -> None:
    if not ready:
        state.out.note(f"The stack {stack.project} is starting.")
    elif changed:
        state.out.note(f"The stack {stack.project} is up after {format_duration(seconds)}.")
    else:
        state.out.note(f"The stack {stack.project} was up already.")
