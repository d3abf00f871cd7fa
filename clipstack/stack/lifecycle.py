"""Starting a stack, and testing that it works."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from clipstack.errors import ClipstackError, ExitCode, UnreachableError
from clipstack.events import Events
from clipstack.settings import stack_variables, targets
from clipstack.stack import compose, containers, preflight, smoke_test
from clipstack.stack.containers import Container
from clipstack.stack.readiness import ReadinessWaiter, ServiceProgress
from clipstack.stack.services import SERVICES, StackService
from clipstack.stack.smoke_test import EncodeTest, SearchTest
from clipstack.stack.teardown import require_containers, stop_containers

Step = Callable[[Mapping[str, Container]], bool]
"""What is left to do to start the containers, given those there are; whether it is all done."""

_LEAST_SECONDS = 10.0
_MILVUS_ROOT = "root:Milvus"  # Milvus' own first user
_PASSWORD = (
    "It runs, and asks for a password: CLIPSTACK_MILVUS_TOKEN must hold user:password. "
    f"The first one is {_MILVUS_ROOT}."
)


@dataclass(slots=True)
class StartResult:
    """What `up`, `start` or `restart` did.

    Attributes:
        services: their progress.
        changed: whether a container was created or started.
        seconds: for all of it.
        encoded, searched: the smoke tests at the end, None for those that did not run.
    """

    project: str
    urls: dict[str, str]
    services: list[ServiceProgress] = field(default_factory=list)
    changed: bool = False
    seconds: float = 0.0
    encoded: EncodeTest | None = None
    searched: SearchTest | None = None


@dataclass(frozen=True, slots=True)
class StartOptions:
    """How to start a stack.

    Attributes:
        timeout: seconds for all of it.
        wait: whether to wait until the services are ready, and test them.
        pull: whether to fetch images first.
        milvus_token: user:password or an API key of Milvus, or "".
        collection: the collection that the smoke test searches, if it exists.
    """

    timeout: float = 300.0
    wait: bool = True
    pull: bool = False
    milvus_token: str = ""
    collection: str = ""


@containers.translate_errors()
def up(
    project: str,
    values: Mapping[str, str],
    services: Sequence[StackService],
    events: Events,
    options: StartOptions,
) -> StartResult:
    """Create and start the containers that differ from the variables, and wait until they answer.

    The variables are saved first, with new credentials where there are none.

    Raises:
        PrerequisiteError: Docker can't be used, or an image can't be fetched.
        ClipstackError: it is not ready in time (exit code 124), Ctrl-C was pressed (130), or
            compose failed.
    """
    client = containers.client()
    stack_variables.write(project, values)
    values = _with_credentials(project, values)
    waiter = ReadinessWaiter(client, project, services, events, options.timeout)
    if options.pull:
        events.stage("Fetching images")
        pulled = [
            service for service in services if not preflight.is_built_locally(service, values)
        ]
        compose.pull(project, values, pulled, events.detail)
    events.stage("Starting")
    before = _starts(containers.list_containers(client, project))
    _unpause(client, project, services)
    step = _ComposeUp(project, values, services, events)
    try:
        _wait(waiter, step, options)
    finally:
        step.terminate()
    return _finish(client, project, values, waiter, events, options, before)


@containers.translate_errors()
def start(
    project: str,
    values: Mapping[str, str],
    names: Sequence[str],
    events: Events,
    options: StartOptions,
    *,
    stop_first: bool = False,
) -> StartResult:
    """Start existing containers, each after those it depends on, and wait until they answer.

    Args:
        names: of services; none for all.
        stop_first: whether to stop them before.

    Raises:
        UnreachableError: a service has no container.
        ClipstackError: as `up`.
    """
    client = containers.client()
    by_name = require_containers(client, project, names)
    services = [SERVICES[name] for name in SERVICES if name in by_name]
    before = _starts(by_name)
    if stop_first:
        events.stage("Stopping")
        stop_containers(client, by_name)
    waiter = ReadinessWaiter(client, project, services, events, options.timeout)
    events.stage("Starting")
    _unpause(client, project, services)
    _wait(waiter, _start_step(client, services), options)
    return _finish(client, project, values, waiter, events, options, before)


def make_current() -> bool:
    """Make `stack` the current target; returns whether it was another one."""
    if targets.current() == targets.STACK:
        return False
    targets.use(targets.STACK)
    return True


def leave_current() -> bool:
    """Make `embedded` the current target if it is `stack`; returns whether it was."""
    if targets.current() != targets.STACK:
        return False
    targets.use(targets.EMBEDDED)
    return True


def _with_credentials(project: str, values: Mapping[str, str]) -> dict[str, str]:
    """The variables with the credentials that are saved for this stack."""
    given = {name: value for name, value in values.items() if value}
    return {**stack_variables.variables(project, {}, {}), **given}


class _ComposeUp:
    """A step that runs `docker compose up`, again where it gave up too early."""

    def __init__(
        self,
        project: str,
        values: Mapping[str, str],
        services: Sequence[StackService],
        events: Events,
    ) -> None:
        self._run = partial(compose.up, project, values, services, events.detail)
        self._process = self._run()

    def __call__(self, _: Mapping[str, Container]) -> bool:
        if self._process.is_running:
            return False
        try:
            self._process.wait()
        except ClipstackError as error:
            if not compose.is_retryable(error):
                raise compose.explain_failure(error) from None
            self._process = self._run()
            return False
        return True

    def terminate(self) -> None:
        self._process.terminate()


def _start_step(client: containers.DockerClient, services: Sequence[StackService]) -> Step:
    """A step that starts each container once those it depends on are ready."""

    def step(by_name: Mapping[str, Container]) -> bool:
        all_started = True
        for service in services:
            container = by_name.get(service.name)
            if container is None or container.state not in ("exited", "created", "dead"):
                continue
            dependencies = [by_name[name] for name in service.depends_on if name in by_name]
            if all(dependency.is_ready for dependency in dependencies):
                client.api.start(container.id)
            all_started = False
        return all_started

    return step


def _wait(waiter: ReadinessWaiter, step: Step, options: StartOptions) -> None:
    try:
        if options.wait:
            waiter.wait(step)
        else:
            _wait_until_started(waiter, step)
    except KeyboardInterrupt:
        raise _interrupted() from None


def _wait_until_started(waiter: ReadinessWaiter, step: Step) -> None:
    while not step(waiter.poll()):
        if not waiter.seconds_left:
            raise waiter.timeout_error()
        time.sleep(0.2)
    waiter.poll()


def _interrupted() -> ClipstackError:
    return ClipstackError(
        "interrupted; the services that have started keep running",
        hint="`clipstack up` continues to wait for them, `clipstack down` stops them.",
        code=ExitCode.INTERRUPTED,
    )


def _finish(
    client: containers.DockerClient,
    project: str,
    values: Mapping[str, str],
    waiter: ReadinessWaiter,
    events: Events,
    options: StartOptions,
    before: Mapping[str, str],
) -> StartResult:
    result = StartResult(project, stack_variables.service_urls(values), waiter.services)
    after = _starts(containers.list_containers(client, project))
    names = [progress.name for progress in waiter.services]
    result.changed = any(after.get(name) != before.get(name) for name in names)
    if options.wait:
        try:
            _run_smoke_tests(result, names, values, waiter, events, options)
        except KeyboardInterrupt:
            raise _interrupted() from None
    result.seconds = options.timeout - waiter.seconds_left
    return result


def _run_smoke_tests(
    result: StartResult,
    names: Sequence[str],
    values: Mapping[str, str],
    waiter: ReadinessWaiter,
    events: Events,
    options: StartOptions,
) -> None:
    if "bentoml" in names:
        events.stage("Encoding a text")
        token = values.get("CLIPSTACK_ENCODER_TOKEN", "")
        result.encoded = smoke_test.encode(result.urls["bentoml"], token)
    if "milvus" in names:
        events.stage("Searching in Milvus")
        token = options.milvus_token
        if not token and values.get("CLIPSTACK_MILVUS_AUTHORIZATION") == "true":
            token = _MILVUS_ROOT
        try:
            result.searched = smoke_test.search(
                result.urls["milvus"],
                token,
                collection=options.collection,
                timeout=max(waiter.seconds_left, _LEAST_SECONDS),
            )
        except UnreachableError as error:
            if not token:
                raise
            raise UnreachableError(error.message, hint=_PASSWORD) from None


def _unpause(
    client: containers.DockerClient, project: str, services: Sequence[StackService]
) -> None:
    names = {service.name for service in services}
    for name, container in containers.list_containers(client, project).items():
        if container.state == "paused" and name in names:
            client.api.unpause(container.id)


def _starts(by_name: Mapping[str, Container]) -> dict[str, str]:
    """What differs after each start of a container, by service."""
    return {name: f"{container.id} {container.started_at}" for name, container in by_name.items()}
