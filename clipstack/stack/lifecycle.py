"""Starting a stack, and testing that it works."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from clipstack.errors import ClipstackError, ExitCode
from clipstack.events import Events
from clipstack.settings import stack_variables
from clipstack.stack import (
    compose,
    containers,
    milvus_password,
    preflight,
    published_ports,
    smoke_test,
    volume_deletion,
)
from clipstack.stack.containers import Container
from clipstack.stack.deadline import Deadline
from clipstack.stack.readiness import ReadinessWaiter, ServiceProgress
from clipstack.stack.services import SERVICES, StackService, added_service, check_started
from clipstack.stack.smoke_test import EncodeTest, SearchTest
from clipstack.stack.teardown import mend_networks, require_containers, stop_containers

Step = Callable[[Mapping[str, Container]], bool]
"""What is left to do to start the containers, given those there are; whether it is all done."""

_LEAST_SECONDS = 0.5
_NOT_STARTED = ("exited", "created", "dead")


@dataclass(slots=True)
class StartResult:
    """What `up`, `start` or `restart` did.

    Attributes:
        services: their progress.
        changed: whether a container was created or started.
        seconds: for all of it.
        encoded, searched: the smoke tests at the end, None for those that did not run.
        tunnel_hint: how to reach services that listen on loopback of another machine.
    """

    project: str
    urls: dict[str, str]
    services: list[ServiceProgress] = field(default_factory=list)
    changed: bool = False
    seconds: float = 0.0
    encoded: EncodeTest | None = None
    searched: SearchTest | None = None
    tunnel_hint: str = ""


@dataclass(frozen=True, slots=True)
class StartOptions:
    """How to start a stack.

    Attributes:
        deadline: for all of it.
        wait: whether to wait until the services are ready, and test them.
        wait_for: names of the services to wait for and test; none for all.
        pull: whether to fetch images first.
        milvus_token: user:password or an API key of Milvus, or "".
        collection: the collection that the smoke test searches, if it exists.
    """

    deadline: Deadline
    wait: bool = True
    wait_for: tuple[str, ...] = ()
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
    check_started(options.wait_for, services)
    client = containers.client()
    volume_deletion.finish(client, project, events)
    mend_networks(client, project, events)
    in_use = _credentials_in_use(client, project)
    values = published_ports.with_engine(client, values)
    values = stack_variables.with_credentials(values, in_use, options.milvus_token)
    stack_variables.write(project, values)
    waiter = ReadinessWaiter(client, project, services, events, options.deadline, options.wait_for)
    if options.pull:
        events.stage("Fetching images")
        pulled = [
            service for service in services if not preflight.is_built_locally(service, values)
        ]
        _interruptible(
            lambda: compose.pull(project, values, pulled, events.detail, options.deadline)
        )
    events.stage("Starting")
    before = _starts(containers.list_containers(client, project))
    _unpause(client, project, services)
    step = _ComposeUp(project, values, services, events)
    try:
        _wait(waiter, step, options)
    except ClipstackError as error:
        if error.code == ExitCode.TIMEOUT and step.last_line:
            error.hint += f"\n`docker compose up` said last: {step.last_line[:300]}"
        step.terminate()
        if error.code == ExitCode.INTERRUPTED:
            containers.remove_never_started(client, project)
        raise
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
    services += [added_service(name) for name in sorted(by_name.keys() - SERVICES.keys())]
    check_started(options.wait_for, services)
    before = _starts(by_name)
    if stop_first:
        events.stage("Stopping")
        _interruptible(lambda: stop_containers(client, by_name, options.deadline))
    waiter = ReadinessWaiter(client, project, services, events, options.deadline, options.wait_for)
    events.stage("Starting")
    _unpause(client, project, services)
    _wait(waiter, _start_step(client, services), options)
    return _finish(client, project, values, waiter, events, options, before)


def _credentials_in_use(client: containers.DockerClient, project: str) -> dict[str, str]:
    """The credentials that the stack's containers have, whoever's `up` made them."""
    by_name = containers.list_containers(client, project)
    used: dict[str, str] = {}
    if "minio" in by_name:
        variables = containers.environment(client, by_name["minio"])
        used["CLIPSTACK_MINIO_USER"] = variables.get("MINIO_ROOT_USER", "")
        used[stack_variables.MINIO_PASSWORD] = variables.get("MINIO_ROOT_PASSWORD", "")
    if "milvus" in by_name:
        variables = containers.environment(client, by_name["milvus"])
        if variables.get("COMMON_SECURITY_AUTHORIZATIONENABLED") == "true":
            password = variables.get("COMMON_SECURITY_DEFAULTROOTPASSWORD", "")
            used[stack_variables.MILVUS_PASSWORD] = password
    return used


class _ComposeUp:
    """A step that runs `docker compose up`, again where it gave up too early or in vain.

    Attributes:
        last_line: what it printed last.
    """

    def __init__(
        self,
        project: str,
        values: Mapping[str, str],
        services: Sequence[StackService],
        events: Events,
    ) -> None:
        self.last_line = ""
        self._events = events
        self._names = [service.name for service in services]
        self._was_done = False
        self._run = partial(compose.up, project, values, services, self._on_line)
        self._process = self._run()

    def __call__(self, by_name: Mapping[str, Container]) -> bool:
        if self._process.is_running:
            return False
        try:
            self._process.wait()
        except ClipstackError as error:
            if not compose.is_retryable(error):
                raise compose.explain_failure(error) from None
            self._process = self._run()
            return False
        states = [by_name[name].state if name in by_name else "" for name in self._names]
        if self._was_done and any(state in ("", *_NOT_STARTED) for state in states):
            # It was killed or removed meanwhile, which no restart policy mends.
            self._process = self._run()
            self._was_done = False
            return False
        self._was_done = True
        return True

    def terminate(self) -> None:
        self._process.terminate()

    def _on_line(self, line: str) -> None:
        self.last_line = line
        self._events.detail(line)


def _start_step(client: containers.DockerClient, services: Sequence[StackService]) -> Step:
    """A step that starts each container once those it depends on are ready."""

    def step(by_name: Mapping[str, Container]) -> bool:
        all_started = True
        for service in services:
            container = by_name.get(service.name)
            if container is None or container.state not in _NOT_STARTED:
                continue
            dependencies = [by_name[name] for name in service.depends_on if name in by_name]
            if all(dependency.is_ready for dependency in dependencies):
                client.api.start(container.id)
            all_started = False
        return all_started

    return step


def _wait(waiter: ReadinessWaiter, step: Step, options: StartOptions) -> None:
    if options.wait:
        _interruptible(lambda: waiter.wait(step))
    else:
        _interruptible(lambda: _wait_until_started(waiter, step, options.deadline))


def _wait_until_started(waiter: ReadinessWaiter, step: Step, deadline: Deadline) -> None:
    while not step(waiter.poll()):
        if not deadline.left:
            raise waiter.timeout_error()
        time.sleep(0.2)
    waiter.poll()


def _interruptible(work: Callable[[], object]) -> None:
    try:
        work()
    except KeyboardInterrupt:
        raise ClipstackError(
            "interrupted; the services that have started keep running",
            hint="`clipstack up` continues to wait for them, `clipstack down` stops them.",
            code=ExitCode.INTERRUPTED,
        ) from None


def _finish(
    client: containers.DockerClient,
    project: str,
    values: Mapping[str, str],
    waiter: ReadinessWaiter,
    events: Events,
    options: StartOptions,
    before: Mapping[str, str],
) -> StartResult:
    values = published_ports.located(values)
    result = StartResult(project, stack_variables.service_urls(values), waiter.services)
    result.tunnel_hint = published_ports.tunnel_hint(values)
    after = _starts(containers.list_containers(client, project))
    names = [progress.name for progress in waiter.services]
    result.changed = any(after.get(name) != before.get(name) for name in names)
    if options.wait and not (result.tunnel_hint and not published_ports.has_tunnel(values)):
        try:
            _interruptible(lambda: _run_smoke_tests(result, names, values, events, options))
        except ClipstackError as error:
            if error.code != ExitCode.INTERRUPTED:
                error.hint = f"{error.hint}\n{published_ports.firewall_hint(values)}".strip()
            raise
    result.seconds = options.deadline.elapsed
    return result


def _run_smoke_tests(
    result: StartResult,
    names: Sequence[str],
    values: Mapping[str, str],
    events: Events,
    options: StartOptions,
) -> None:
    tested = options.wait_for or names
    deadline = options.deadline
    if "bentoml" in tested:
        events.stage("Encoding a text")
        token = values.get("CLIPSTACK_ENCODER_TOKEN", "")
        with _timeouts("the encoder does not encode a text", "bentoml", deadline):
            seconds = max(deadline.left, _LEAST_SECONDS)
            result.encoded = smoke_test.encode(result.urls["bentoml"], token, seconds)
    if "milvus" in tested:
        events.stage("Searching in Milvus")
        made_token = stack_variables.milvus_token(values)
        token = options.milvus_token or made_token
        with _timeouts("Milvus does not answer a search", "milvus", deadline):
            if token and token == made_token:
                milvus_password.ensure(result.urls["milvus"], token, deadline)
            result.searched = smoke_test.search(
                result.urls["milvus"],
                token,
                collection=options.collection,
                timeout=max(deadline.left, _LEAST_SECONDS),
            )


@contextmanager
def _timeouts(message: str, name: str, deadline: Deadline) -> Iterator[None]:
    """Raise errors after the deadline as one that says what was waited for."""
    try:
        yield
    except ClipstackError as error:
        if deadline.left > _LEAST_SECONDS + 1:
            raise
        raise ClipstackError(
            f"the stack is not ready after {deadline.elapsed:.0f} s: {message}",
            hint=f"{error.message}\n`clipstack logs {name}` says more, `clipstack restart {name}` "
            "starts it anew; `clipstack up --timeout SECONDS` waits again.",
            code=ExitCode.TIMEOUT,
        ) from None


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
