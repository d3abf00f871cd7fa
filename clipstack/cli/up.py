"""`clipstack up`."""

from __future__ import annotations

from dataclasses import dataclass
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
    WaitFor,
    changing,
    stack_of,
    waited_for,
)
from clipstack.cli.state import State, state_of
from clipstack.errors import ClipstackError, ExitCode, PrerequisiteError
from clipstack.output.out import Mode, tilde
from clipstack.units import format_duration

if TYPE_CHECKING:
    from clipstack.stack.check import Check
    from clipstack.stack.lifecycle import StartOptions, StartResult
    from clipstack.stack.services import StackService

_NO_PASSWORD = (
    "Milvus and etcd ask for no password; CLIPSTACK_MILVUS_AUTHORIZATION=true changes it."
)


def up(
    ctx: typer.Context,
    services: Services = None,
    build: Annotated[bool, Option("--build", help="Build the encoder's image first.")] = False,
    pull: Annotated[bool, Option("--pull", help="Fetch the images first.")] = False,
    wait: Wait = True,
    wait_for: WaitFor = None,
    timeout: Timeout = 300,
    gpu: Annotated[
        bool | None,
        Option("--gpu/--no-gpu", help="Give the encoder NVIDIA GPUs.", show_default="as last time"),
    ] = None,
    attu: Annotated[bool, Option("--attu", help="Start Attu too, Milvus in a browser.")] = False,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Only show what would be started, and with what.")
    ] = False,
    print_: Annotated[
        bool,
        Option("--print", help="Only write the resolved Compose file, without its secrets."),
    ] = False,
    project: Project = None,
) -> None:
    """Start the stack on this machine: etcd, MinIO, Milvus and the encoder.

    It waits until Milvus answers a search and the encoder a text, and makes `stack` the target of
    the next commands. Twice is fine. `clipstack down` stops it and keeps its data.
    """
    state = state_of(ctx)
    request = _Request(tuple(services or ()), build, pull, gpu, attu)
    names = waited_for(wait_for, wait=wait)
    if dry_run or print_:
        _show(state, request.select(stack_of(state, project)), as_compose_file=print_)
        return
    from clipstack.stack.deadline import Deadline
    from clipstack.stack.lifecycle import StartOptions

    deadline = Deadline(timeout)
    with changing(state, project, "up", deadline) as stack:
        selection = request.select(stack)
        options = StartOptions(
            deadline, wait, names, pull, stack.settings.milvus_token, stack.settings.collection
        )
        _up(state, selection, request, options)


@dataclass(frozen=True, slots=True)
class _Request:
    """What `up` was asked for."""

    names: tuple[str, ...]
    build: bool
    pull: bool
    gpu: bool | None
    attu: bool

    def select(self, stack: SelectedStack) -> _Selection:
        """The services of the stack that are to start."""
        from clipstack.stack import compose
        from clipstack.stack.services import GPUS, added_service, selected_services

        if self.gpu is not None:
            stack.values[GPUS] = (stack.values.get(GPUS) or "all") if self.gpu else ""
        added = compose.override_services(stack.project, stack.values)
        own = [name for name in self.names if name not in added]
        services = (
            []
            if self.names and not own
            else list(selected_services(stack.values, own, attu=self.attu))
        )
        extra = [added_service(name) for name in added if name in self.names or not self.names]
        return _Selection(stack, services, extra)


@dataclass(frozen=True, slots=True)
class _Selection:
    """Services of a stack.

    Attributes:
        services: of compose.yaml.
        added: by the user's compose.override.yaml.
    """

    stack: SelectedStack
    services: list[StackService]
    added: list[StackService]


def _up(state: State, selection: _Selection, request: _Request, options: StartOptions) -> None:
    from clipstack.stack import compose, preflight

    stack = selection.stack
    checks = preflight.all_checks(stack.project, stack.values, selection.services)
    _build_or_refuse(state, stack, selection.services, checks, build=request.build)
    _warn(state, stack, checks)
    if override := compose.override_file(stack.values):
        state.out.note(f"With {tilde(str(override))}.")
    _start(state, selection, options)


def _show(state: State, selection: _Selection, *, as_compose_file: bool) -> None:
    from clipstack.output import stack_views
    from clipstack.settings import stack_variables
    from clipstack.stack import compose, preflight

    stack, services = selection.stack, selection.services
    if not as_compose_file:
        checks = preflight.all_checks(stack.project, stack.values, services)
        _show_plan(state, stack, services, checks)
        return
    text = compose.resolved(
        stack.project,
        stack.values,
        [*services, *selection.added],
        json=state.out.mode is Mode.JSON,
    )
    state.out.show(stack_views.compose_file(text))
    file = stack_variables.stack_file(stack.project)
    made = "has them" if file.exists() else "will have them after the first `clipstack up`"
    state.out.hint(
        f"Passwords are left out: {file} {made}. "
        f"`docker compose --env-file {file} --file FILE up` takes them."
    )


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
    from clipstack.settings import stack_variables
    from clipstack.stack import endpoint, published_ports
    from clipstack.stack.check import Level

    for check in checks:
        if check.level is Level.WARN:
            state.out.warn(f"{check.message}. {check.fix}")
    if published_ports.is_elsewhere(stack.values):
        there = stack.values[stack_variables.DOCKER]
        state.out.warn(
            f"The stack {stack.project} was started in Docker at {there} before, and stays there; "
            f"this one is in Docker at {endpoint.current()}."
        )
    address = stack.values[stack_variables.BIND_ADDRESS]
    asks = stack.values[stack_variables.AUTHORIZATION] == "true"
    if not net.is_loopback(address):
        machine = endpoint.current().remote_host or "this machine"
        state.out.warn(
            f"The services listen on {address}: who reaches {machine} reaches them. "
            + ("Milvus asks for a password, etcd does not." if asks else _NO_PASSWORD)
        )
    if asks and stack.settings.milvus_token == "root:Milvus":
        state.out.warn(
            "CLIPSTACK_MILVUS_TOKEN is root:Milvus, which everybody knows: unset it, and "
            "`clipstack up` makes a password."
        )


def _start(state: State, selection: _Selection, options: StartOptions) -> None:
    from clipstack.output import stack_views
    from clipstack.output.stack_progress import StackProgress
    from clipstack.settings import targets
    from clipstack.stack import lifecycle

    stack = selection.stack
    services = [*selection.services, *selection.added]
    with StackProgress(state.out) as progress:
        result = lifecycle.up(stack.project, stack.values, services, progress, options)
    state.out.show(stack_views.started(result))
    if result.tunnel_hint:
        state.out.warn(result.tunnel_hint)
    ready = all(service.is_ready for service in result.services)
    _note_outcome(state, stack, result, ready, options.wait_for)
    if any(service.name == "milvus" for service in services) and targets.enter_stack(stack.project):
        state.out.note("`stack` is the target of the next commands now.")
    if not stack.is_default:
        state.out.hint(f"Set CLIPSTACK_PROJECT={stack.project} for commands that are to use it.")
    if ready:
        state.out.hint("Next: `clipstack import FOLDER`, then `clipstack search dog`.")
    else:
        state.out.hint("`clipstack status` says how far it is.")


def _note_outcome(
    state: State,
    stack: SelectedStack,
    result: StartResult,
    ready: bool,
    waited_for: tuple[str, ...],
) -> None:
    if not ready:
        waited = ", ".join(waited_for)
        waited = f"; {waited} answers after {format_duration(result.seconds)}" if waited else ""
        state.out.note(f"The stack {stack.project} is starting{waited}.")
    elif result.changed:
        state.out.note(f"The stack {stack.project} is up after {format_duration(result.seconds)}.")
    else:
        state.out.note(f"The stack {stack.project} was up already.")
