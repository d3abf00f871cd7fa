"""A stack's name and variables in; its services started, and tried, out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from clipstack.errors import ClipstackError, ExitCode, UnreachableError
from clipstack.settings import stack_variables, targets
from clipstack.stack import compose, containers, preflight, round_trip
from clipstack.stack.containers import Container
from clipstack.stack.readiness import Events, Progress, Wait
from clipstack.stack.round_trip import Encoded, Searched
from clipstack.stack.services import SERVICES, StackService
from clipstack.stack.teardown import existing, halt

if TYPE_CHECKING:
    from docker import DockerClient

_LEAST_SECONDS = 10.0
_MILVUS_ROOT = "root:Milvus"  # Milvus' own first user
_PASSWORD = (
    "It runs, and asks for a password: CLIPSTACK_MILVUS_TOKEN must hold user:password. "
    f"The first one is {_MILVUS_ROOT}."
)


@dataclass(slots=True)
class Started:
    """What `up`, `start` or `restart` did.

    Attributes:
        progress: each service, as it is now.
        changed: whether a container was made or started.
        seconds: it all took.
        encoded, searched: the round trips that were tried, None for those that were not.
    """

    project: str
    addresses: dict[str, str]
    progress: list[Progress] = field(default_factory=list)
    changed: bool = False
    seconds: float = 0.0
    encoded: Encoded | None = None
    searched: Searched | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """How to wait and what to try at the end.

    Attributes:
        timeout: seconds for everything.
        wait: False returns once the containers are started.
        pull: fetch images first.
        milvus_token: what Milvus asks for, or "".
        collection: the one to search in, where it is there.
    """

    timeout: float = 300.0
    wait: bool = True
    pull: bool = False
    milvus_token: str = ""
    collection: str = ""


@containers.translated()
def up(
    project: str,
    values: Mapping[str, str],
    services: Sequence[StackService],
    events: Events,
    way: Way,
) -> Started:
    """Make and start what is not as the variables want it, and wait until it answers.

    The variables are written down first, with credentials that are made where there are none.

    Raises:
        PrerequisiteError: Docker or an image can't be had.
        ClipstackError: it is not ready in time (exit code 124), Ctrl-C was pressed (130), or
            compose failed.
    """
    client = containers.client()
    stack_variables.write(project, values)
    full = _complete(project, values)
    wait = Wait(client, project, services, events, way.timeout)
    if way.pull:
        events.stage("Fetching images")
        wanted = [one for one in services if not preflight.is_made_here(one, full)]
        compose.pull(project, full, wanted, events.line)
    events.stage("Starting")
    before = _identities(containers.containers(client, project))
    _unpause(client, project, services)
    step = _Compose(project, full, services, events)
    try:
        _wait(wait, step, way)
    finally:
        step.end()
    return _finish(client, project, full, wait, events, way, before)


@containers.translated()
def start(
    project: str,
    values: Mapping[str, str],
    names: Sequence[str],
    events: Events,
    way: Way,
    *,
    stop_first: bool = False,
) -> Started:
    """Start containers that are there, those first that others depend on, and wait.

    Args:
        names: of services; all of them for none.
        stop_first: stop them before, the others first.

    Raises:
        UnreachableError: there are none.
        ClipstackError: as `up`.
    """
    client = containers.client()
    found = existing(client, project, names)
    services = [SERVICES[name] for name in SERVICES if name in found]
    before = _identities(found)
    if stop_first:
        events.stage("Stopping")
        halt(client, found)
    wait = Wait(client, project, services, events, way.timeout)
    events.stage("Starting")
    _unpause(client, project, services)
    _wait(wait, _starter(client, services), way)
    return _finish(client, project, values, wait, events, way, before)


def make_current() -> bool:
    """Make `stack` the current target; whether that is new."""
    if targets.current() == targets.STACK:
        return False
    targets.use(targets.STACK)
    return True


def leave_current() -> bool:
    """Go back to the target `embedded` if `stack` was current; whether that was so."""
    if targets.current() != targets.STACK:
        return False
    targets.use(targets.EMBEDDED)
    return True


def _complete(project: str, values: Mapping[str, str]) -> dict[str, str]:
    """The variables with the credentials that were written down for this stack."""
    given = {name: value for name, value in values.items() if value}
    return {**stack_variables.variables(project, {}, {}), **given}


class _Compose:
    """`docker compose up`, run again where it was impatient."""

    def __init__(
        self,
        project: str,
        values: Mapping[str, str],
        services: Sequence[StackService],
        events: Events,
    ) -> None:
        self._again = partial(compose.up, project, values, services, events.line)
        self._running = self._again()

    def __call__(self, _: Mapping[str, Container]) -> bool:
        if self._running.is_running:
            return False
        try:
            self._running.check()
        except ClipstackError as error:
            if not compose.is_impatient(error):
                raise compose.explained(error) from None
            self._running = self._again()
            return False
        return True

    def end(self) -> None:
        self._running.end()


def _starter(
    client: DockerClient, services: Sequence[StackService]
) -> Callable[[Mapping[str, Container]], bool]:
    """A step that starts each container once those it depends on are ready."""

    def step(found: Mapping[str, Container]) -> bool:
        left = False
        for service in services:
            one = found.get(service.name)
            if one is None or one.state not in ("exited", "created", "dead"):
                continue
            needed = [found[name] for name in service.depends_on if name in found]
            if all(other.is_ready for other in needed):
                client.api.start(one.id)
            left = True
        return not left

    return step


def _wait(wait: Wait, step: Callable[[Mapping[str, Container]], bool], way: Way) -> None:
    try:
        if way.wait:
            wait.until_ready(step)
        else:
            _until_started(wait, step)
    except KeyboardInterrupt:
        raise interrupted() from None


def _until_started(wait: Wait, step: Callable[[Mapping[str, Container]], bool]) -> None:
    while not step(wait.look()):
        if not wait.left:
            raise wait.too_late()
        time.sleep(0.2)
    wait.look()


def interrupted() -> ClipstackError:
    """The error after Ctrl-C."""
    return ClipstackError(
        "interrupted; the services that have started go on",
        hint="`clipstack up` goes on waiting for them, `clipstack down` stops them.",
        code=ExitCode.INTERRUPTED,
    )


def _finish(
    client: DockerClient,
    project: str,
    values: Mapping[str, str],
    wait: Wait,
    events: Events,
    way: Way,
    before: Mapping[str, str],
) -> Started:
    made = Started(project, stack_variables.addresses(values), wait.services)
    after = _identities(containers.containers(client, project))
    made.changed = any(
        after.get(one.service.name) != before.get(one.service.name) for one in wait.services
    )
    if way.wait:
        try:
            _try_it(made, values, wait, events, way)
        except KeyboardInterrupt:
            raise interrupted() from None
    made.seconds = way.timeout - wait.left
    return made


def _try_it(made: Started, values: Mapping[str, str], wait: Wait, events: Events, way: Way) -> None:
    names = {one.service.name for one in wait.services}
    if "bentoml" in names:
        events.stage("Encoding a text")
        token = values.get("CLIPSTACK_ENCODER_TOKEN", "")
        made.encoded = round_trip.encode(made.addresses["bentoml"], token)
    if "milvus" in names:
        events.stage("Searching in Milvus")
        token = way.milvus_token
        if not token and values.get("CLIPSTACK_MILVUS_AUTHORIZATION") == "true":
            token = _MILVUS_ROOT
        try:
            made.searched = round_trip.search(
                made.addresses["milvus"],
                token,
                collection=way.collection,
                timeout=max(wait.left, _LEAST_SECONDS),
            )
        except UnreachableError as error:
            if not token:
                raise
            raise UnreachableError(error.message, hint=_PASSWORD) from None


def _unpause(client: DockerClient, project: str, services: Sequence[StackService]) -> None:
    names = {one.name for one in services}
    for one in containers.containers(client, project).values():
        if one.state == "paused" and one.service in names:
            client.api.unpause(one.id)


def _identities(found: Mapping[str, Container]) -> dict[str, str]:
    return {name: f"{one.id} {one.started_at}" for name, one in found.items()}
