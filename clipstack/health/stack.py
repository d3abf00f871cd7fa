"""The health of a stack: its services' own answers, and the states of their containers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from clipstack.errors import PrerequisiteError
from clipstack.health import concurrency, remote
from clipstack.health.probes import container_state, etcd, milvus, minio, prepare
from clipstack.health.probes.http import silence_reason
from clipstack.health.probes.result import ProbeResult, ProbeStatus
from clipstack.health.report import HealthReport
from clipstack.net import is_loopback
from clipstack.settings import Settings
from clipstack.settings.stack_variables import service_urls, variables
from clipstack.stack import containers, published_ports
from clipstack.stack.containers import Container
from clipstack.stack.services import EXTERNAL_S3, SERVICES, stack_services

_DOCKER = "docker"


@dataclass(frozen=True, slots=True)
class _DockerState:
    """The containers by service, or what is wrong with Docker."""

    containers: Mapping[str, Container] = field(default_factory=dict)
    error: str = ""
    hint: str = ""
    tunnel_hint: str = ""


def check(settings: Settings, seconds: float, deep: bool) -> HealthReport:
    """Probe etcd, the object store, Milvus and the encoder, and inspect their containers.

    Args:
        seconds: for all of it.
        deep: whether to write to Milvus and to the object store too.
    """
    values = variables(settings.project, settings.stack)
    urls = service_urls(values)
    encoders = _encoder_services(settings, urls["bentoml"])
    urls |= encoders
    names = [s.name for s in stack_services(values) if s.name != "bentoml"] + list(encoders)
    prepare()
    until = time.monotonic() + seconds
    tasks = _tasks(settings, values, urls, until, deep)
    for name, url in encoders.items():
        tasks[name] = partial(remote.probe_encoder, settings, name, url, until)
    if values.get(EXTERNAL_S3):
        names.insert(0, "s3")
    work: dict[str, Callable[[], Any]] = {name: tasks[name] for name in names}
    work[_DOCKER] = lambda: _docker_state(settings.project, values, seconds)
    done = concurrency.run(work, until - time.monotonic(), _only_paused_missing(names))
    docker = done.pop(_DOCKER, _DockerState(error="Docker does not answer", hint="Restart Docker."))
    late = partial(ProbeResult, status=ProbeStatus.DOWN, reason=silence_reason(seconds))
    probes = {
        name: _with_container(done.get(name) or late(name, url=urls.get(name, "")), docker)
        for name in names
    }
    for name in encoders.keys() - SERVICES.keys():
        probes[name] = remote.with_hint(probes[name], settings)
    if "milvus" in probes:
        probes["milvus"] = _with_dependencies(probes)
    return HealthReport(settings.target, tuple(probes.values()), docker.error, docker.hint)


def _tasks(
    settings: Settings,
    values: Mapping[str, str],
    urls: Mapping[str, str],
    until: float,
    deep: bool,
) -> dict[str, Callable[[], ProbeResult]]:
    def left() -> float:
        return max(0.1, until - time.monotonic())

    address = milvus.MilvusAddress(
        settings.milvus_uri,
        urls["health"],
        settings.milvus_token,
        settings.milvus_database,
        collection=settings.collection,
    )
    keys = values["CLIPSTACK_MINIO_USER"], values["CLIPSTACK_MINIO_PASSWORD"]
    return {
        "s3": lambda: minio.probe_bucket(_bucket(values), left()),
        "etcd": lambda: etcd.probe(urls["etcd"], left()),
        "minio": lambda: minio.probe(urls["minio"], *keys, left(), deep=deep),
        "milvus": lambda: milvus.probe(address, left(), deep=deep),
    }


def _encoder_services(settings: Settings, stack_url: str) -> dict[str, str]:
    """The URLs of `encoder_url` by service: the stack's own is "bentoml", others are numbered."""
    return {
        "bentoml" if _address(url) == _address(stack_url) else name: url
        for name, url in remote.encoder_services(settings).items()
    }


def _address(url: str) -> tuple[str, str]:
    host, _, port = url.partition("://")[2].partition("/")[0].rpartition(":")
    return "localhost" if is_loopback(host) else host, port


def _bucket(values: Mapping[str, str]) -> minio.Bucket:
    """The bucket that the variables of compose.external-s3.yaml name."""
    plain = values.get("CLIPSTACK_S3_TLS", "").lower() == "false"
    return minio.Bucket(
        f"{'http' if plain else 'https'}://{values[EXTERNAL_S3]}",
        values["CLIPSTACK_S3_BUCKET"],
        values.get("CLIPSTACK_S3_REGION") or "us-east-1",
        values["CLIPSTACK_S3_ACCESS_KEY"],
        values["CLIPSTACK_S3_SECRET_KEY"],
    )


def _docker_state(project: str, values: Mapping[str, str], seconds: float) -> _DockerState:
    try:
        client = containers.client(max(1.0, seconds))
        hint = published_ports.tunnel_hint(published_ports.located(values))
        return _DockerState(containers.list_containers(client, project), tunnel_hint=hint)
    except PrerequisiteError as error:
        unusable = error
    except Exception as error:  # Docker may stop between two requests
        unusable = containers.docker_error(str(error))
    return _DockerState(error=unusable.message, hint=unusable.hint)


def _only_paused_missing(names: list[str]) -> Callable[[Mapping[str, Any]], bool]:
    """Whether all services that have not answered are paused, so that they won't."""

    def is_enough(results: Mapping[str, Any]) -> bool:
        docker = results.get(_DOCKER)
        if docker is None or docker.error:
            return False
        missing = [name for name in names if name not in results]
        return all(
            name in docker.containers and docker.containers[name].state == "paused"
            for name in missing
        )

    return is_enough


def _with_container(probe: ProbeResult, docker: _DockerState) -> ProbeResult:
    """The result of a probe, with what Docker knows of the container."""
    container = docker.containers.get(probe.name)
    # MinIO does not tell its version to clients.
    if container and probe.name == "minio" and probe.latency is not None and not probe.version:
        probe = replace(probe, version=container.image.rpartition(":")[2])
    if probe.is_ok or docker.error or probe.name not in SERVICES:
        return probe
    reason, hint = container_state.explain(probe.name, container)
    if probe.status is ProbeStatus.DEGRADED:
        starting = container is not None and container.health == "starting"
        return replace(probe, hint=hint) if starting and reason else probe
    if not reason:
        logs = f"`clipstack logs {probe.name}` may say why; `clipstack restart {probe.name}`"
        hint = docker.tunnel_hint or logs
        return replace(probe, reason=f"running, but {probe.reason}", hint=hint)
    if container and container.state == "running":
        reason = f"{reason}: {probe.reason}"
    return replace(probe, reason=reason, hint=hint)


def _with_dependencies(probes: Mapping[str, ProbeResult]) -> ProbeResult:
    """The result for Milvus, which goes on answering for a while without its dependencies."""
    milvus = probes["milvus"]
    etcd, minio = probes.get("etcd"), probes.get("minio")
    down: list[tuple[str, str, ProbeResult]] = []
    if minio and minio.status is ProbeStatus.DOWN:
        down.append(("its object store", "writes and loads will fail", minio))
    if etcd and etcd.status is ProbeStatus.DOWN:
        down.append(("etcd", "changes will fail, and it may stop", etcd))
    if not down:
        return milvus
    named = " and ".join(name for name, _, _ in down)
    negated = f"{named} does not" if len(down) == 1 else f"{named} do not"
    hint = down[0][2].hint
    if milvus.status is ProbeStatus.OK:
        effects = "; ".join(effect for _, effect, _ in down)
        reason = f"answers, but {negated}: {effects}"
        return replace(milvus, status=ProbeStatus.DEGRADED, reason=reason, hint=hint)
    if milvus.reason.startswith(("stopped", "paused", "not created")):
        return milvus
    return replace(milvus, reason=f"{milvus.reason}; {negated} answer", hint=hint)
