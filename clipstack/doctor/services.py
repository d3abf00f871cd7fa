"""Checks of Docker, images, Milvus and clocks."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from clipstack.doctor import clock_skew, docker_inventory, registries
from clipstack.errors import ClipstackError
from clipstack.index.milvus import rpc_probe
from clipstack.index.milvus.connection import Tls
from clipstack.settings import Settings
from clipstack.settings.stack_variables import variables
from clipstack.settings.targets import EMBEDDED, STACK
from clipstack.stack import endpoint, preflight
from clipstack.stack.check import Check, Level
from clipstack.stack.services import SERVICES, stack_services

_SECONDS = 3.0
_SKEW_SECONDS = 60.0


def docker_checks() -> list[Check]:
    """Check Docker and Compose, and say which engine is used."""
    return [*preflight.docker_checks(), *_context_checks(), *preflight.compose_checks()]


def _context_checks() -> list[Check]:
    overridden = endpoint.overridden_context()
    if not overridden:
        return []
    message = f"DOCKER_HOST={os.environ['DOCKER_HOST']} overrides the context {overridden}"
    fix = f"Unset DOCKER_HOST to use {overridden}, or `docker context use default`."
    return [Check("context", Level.WARN, message, fix)]


def resource_checks(settings: Settings) -> list[Check]:
    """Check the memory and the disk of Docker's machine."""
    values = _values(settings)
    return preflight.resource_checks(values, stack_services(values))


def port_checks(settings: Settings) -> list[Check]:
    """Check that the stack's ports are free or its own."""
    values = _values(settings)
    if settings.target != STACK and not docker_inventory.has_docker():
        return []
    return preflight.port_checks(settings.project, values, stack_services(values))


def image_checks(settings: Settings) -> list[Check]:
    """Check the images, and the registries of those that Docker does not have."""
    values = _values(settings)
    services = stack_services(values)
    checks = preflight.image_checks(settings.project, values, services)
    if not checks:  # Docker can't be used
        return []
    fetched = {
        values[service.image_variable]
        for service in services
        if not preflight.is_built_locally(service, values)
    }
    return checks + registries.checks(fetched, _SECONDS)


def milvus_checks(settings: Settings) -> list[Check]:
    """Check the version of the server or, if it does not answer, of the stack's image."""
    if settings.target == EMBEDDED:
        return []
    try:
        answer = rpc_probe.probe_rpc(
            settings.milvus_uri,
            token=settings.milvus_token,
            database=settings.milvus_database,
            tls=Tls.from_settings(settings),
            seconds=_SECONDS,
        )
    except ClipstackError as error:
        return [Check("Milvus", Level.FAIL, error.message, error.hint)]
    if answer.version:
        return [version_check(answer.version, f"Milvus {answer.version} answers")]
    if settings.target == STACK:
        image = _values(settings)[SERVICES["milvus"].image_variable]
        tag = image.rpartition(":")[2].removeprefix("v")
        return [version_check(tag, f"Milvus is not running; its image is {tag}")]
    message = f"Milvus at {settings.milvus_uri} does not report its version: {answer.detail[:200]}"
    return [Check("Milvus", Level.WARN, message, "`clipstack health` says more.")]


def version_check(version: str, message: str) -> Check:
    """Check that a version of Milvus has no known fault.

    Args:
        message: where the version comes from.
    """
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    if (2, 6, 2) <= numbers <= (2, 6, 13):
        return Check(
            "Milvus",
            Level.WARN,
            f"{message}; versions 2.6.2 to 2.6.13 exit when etcd is away for a moment",
            "Take 2.6.14 or newer: unset CLIPSTACK_MILVUS_IMAGE, then `clipstack up`.",
        )
    return Check("Milvus", Level.OK, message)


def clock_checks(settings: Settings) -> list[Check]:
    """Compare this machine's clock with those of Docker and of the services."""
    checks = []
    for name, skew in clock_skew.clock_skews(settings.encoder_urls, _SECONDS).items():
        if abs(skew) > _SKEW_SECONDS:
            fix = "Set both by NTP: leases in etcd and signatures for the object store need it."
            difference = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'}"
            message = f"this machine's clock is {difference} that of {name}"
            checks.append(Check("clock", Level.WARN, message, fix))
        else:
            message = f"this machine's clock and that of {name} agree"
            checks.append(Check("clock", Level.OK, message))
    return checks


def _values(settings: Settings) -> Mapping[str, str]:
    return variables(settings.project, settings.stack)
