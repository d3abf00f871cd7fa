"""Docker, registries and servers in; what keeps the services from starting or working out."""

from __future__ import annotations

import re
from collections.abc import Mapping

from clipstack.doctor import clock_skew, docker_inventory, registries
from clipstack.errors import ClipstackError
from clipstack.index.milvus import rpc_probe
from clipstack.index.milvus.server import Tls
from clipstack.settings import Settings
from clipstack.settings.stack_variables import variables
from clipstack.settings.targets import EMBEDDED, STACK
from clipstack.stack import preflight
from clipstack.stack.check import Check, Level
from clipstack.stack.services import SERVICES, of_stack

_SECONDS = 3.0
_SKEW = 60.0


def docker_checks() -> list[Check]:
    """Docker and Compose."""
    return [*preflight.docker_checks(), *preflight.compose_checks()]


def resource_checks(settings: Settings) -> list[Check]:
    """Memory and room of the engine's machine."""
    values = _values(settings)
    return preflight.resource_checks(values, of_stack(values))


def port_checks(settings: Settings) -> list[Check]:
    """The stack's ports: free, its own, or held by others."""
    values = _values(settings)
    if settings.target != STACK and not docker_inventory.has_docker():
        return []
    return preflight.port_checks(settings.project, values, of_stack(values))


def image_checks(settings: Settings) -> list[Check]:
    """The images, and for those not here whether their registries answer."""
    values = _values(settings)
    found = preflight.image_checks(settings.project, values, of_stack(values))
    if not found:  # without Docker there is no telling what is here
        return []
    fetched = [one for one in of_stack(values) if not preflight.is_made_here(one, values)]
    return found + registries.checks({values[one.image] for one in fetched}, _SECONDS)


def milvus_checks(settings: Settings) -> list[Check]:
    """The version of the server, where it answers; of the stack's image, where it does not."""
    if settings.target == EMBEDDED:
        return []
    try:
        answer = rpc_probe.ask(
            settings.milvus_uri,
            token=settings.milvus_token,
            database=settings.milvus_database,
            tls=Tls.of(settings),
            seconds=_SECONDS,
        )
    except ClipstackError as error:
        return [Check("Milvus", Level.FAIL, error.message, error.hint)]
    if answer.version:
        return [version_check(answer.version, f"Milvus {answer.version} answers")]
    if settings.target == STACK:
        tag = _values(settings)[SERVICES["milvus"].image].rpartition(":")[2].removeprefix("v")
        return [version_check(tag, f"Milvus does not run; its image is {tag}")]
    said = f"Milvus at {settings.milvus_uri} does not tell its version: {answer.said[:200]}"
    return [Check("Milvus", Level.WARN, said, "`clipstack health` says more.")]


def version_check(version: str, said: str) -> Check:
    """Whether a version of Milvus is known to be bad."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    if (2, 6, 2) <= numbers <= (2, 6, 13):
        return Check(
            "Milvus",
            Level.WARN,
            f"{said}; versions 2.6.2 to 2.6.13 exit when etcd is away for a moment",
            "Take 2.6.14 or newer: unset CLIPSTACK_MILVUS_IMAGE, then `clipstack up`.",
        )
    return Check("Milvus", Level.OK, said)


def clock_checks(settings: Settings) -> list[Check]:
    """This machine's clock against those of the engine and the services."""
    found = []
    for name, skew in clock_skew.skews(settings.encoder_url.split(), _SECONDS).items():
        said = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} that of {name}"
        if abs(skew) > _SKEW:
            fix = "Set both by NTP: leases in etcd and signatures for the object store need it."
            found.append(Check("clock", Level.WARN, f"this machine's clock is {said}", fix))
        else:
            found.append(Check("clock", Level.OK, f"this machine's and that of {name} agree"))
    return found


def _values(settings: Settings) -> Mapping[str, str]:
    return variables(settings.project, settings.stack)
