"""A stack's settings in; how its services are, by their own answers and by Docker's, out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from clipstack.errors import PrerequisiteError
from clipstack.health import concurrency
from clipstack.health.probes import bentoml, container_state, etcd, milvus, minio, prepare
from clipstack.health.probes.http import silent
from clipstack.health.probes.result import Probe, ProbeStatus
from clipstack.health.report import HealthReport
from clipstack.settings import Settings
from clipstack.settings.stack_variables import addresses, variables
from clipstack.stack import containers
from clipstack.stack.containers import Container
from clipstack.stack.services import EXTERNAL_S3, SERVICES, of_stack

_DOCKER = "docker"


@dataclass(frozen=True, slots=True)
class _Docker:
    """What Docker says: containers by service, or what is wrong with it."""

    containers: Mapping[str, Container] = field(default_factory=dict)
    trouble: str = ""
    hint: str = ""


def check(settings: Settings, seconds: float, deep: bool) -> HealthReport:
    """Probe etcd, the object store, Milvus and the encoder, and ask Docker for their containers.

    Args:
        seconds: for all of it.
        deep: also write to Milvus and to the object store.
    """
    values = variables(settings.project, settings.stack)
    urls = addresses(values)
    names = [one.name for one in of_stack(values)]
    prepare()
    until = time.monotonic() + seconds
    probes = _probes(settings, values, urls, until, deep)
    if values.get(EXTERNAL_S3):
        names.insert(0, "s3")
    work: dict[str, Callable[[], Any]] = {name: probes[name] for name in names}
    work[_DOCKER] = lambda: _ask_docker(settings.project, seconds)
    done = concurrency.run(work, until - time.monotonic(), _only_stopped_missing(names))
    docker = done.pop(
        _DOCKER, _Docker(trouble="Docker's engine gives no answer", hint="Restart Docker.")
    )
    found = {
        name: _judged(
            done.get(name)
            or Probe(name, ProbeStatus.DOWN, urls.get(name, ""), reason=silent(seconds)),
            docker,
        )
        for name in names
    }
    if "milvus" in found:
        found["milvus"] = _with_dependencies(found)
    return HealthReport(settings.target, tuple(found.values()), docker.trouble, docker.hint)


def _probes(
    settings: Settings,
    values: Mapping[str, str],
    urls: Mapping[str, str],
    until: float,
    deep: bool,
) -> dict[str, Callable[[], Probe]]:
    def left() -> float:
        return max(0.1, until - time.monotonic())

    access = milvus.Access(
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
        "milvus": lambda: milvus.probe(access, left(), deep=deep),
        "bentoml": lambda: bentoml.probe(settings.encoder_url, settings.encoder_token, left()),
    }


def _bucket(values: Mapping[str, str]) -> minio.Bucket:
    """The bucket elsewhere that the variables of compose.external-s3.yaml name."""
    plain = values.get("CLIPSTACK_S3_TLS", "").lower() == "false"
    return minio.Bucket(
        f"{'http' if plain else 'https'}://{values[EXTERNAL_S3]}",
        values["CLIPSTACK_S3_BUCKET"],
        values.get("CLIPSTACK_S3_REGION") or "us-east-1",
        values["CLIPSTACK_S3_ACCESS_KEY"],
        values["CLIPSTACK_S3_SECRET_KEY"],
    )


def _ask_docker(project: str, seconds: float) -> _Docker:
    try:
        client = containers.client(max(1.0, seconds))
        return _Docker(containers.containers(client, project))
    except PrerequisiteError as error:
        return _Docker(trouble=error.message, hint=error.hint)
    except Exception as error:  # the engine may go away between two questions
        known = containers.trouble(str(error))
        return _Docker(trouble=known.message, hint=known.hint)


def _only_stopped_missing(names: list[str]) -> Callable[[Mapping[str, Any]], bool]:
    """Whether those that have not answered can't: their containers are paused."""

    def enough(results: Mapping[str, Any]) -> bool:
        docker = results.get(_DOCKER)
        missing = [name for name in names if name not in results]
        if docker is None or docker.trouble:
            return False
        return all(
            name in docker.containers and docker.containers[name].state == "paused"
            for name in missing
        )

    return enough


def _judged(probe: Probe, docker: _Docker) -> Probe:
    """A probe with what Docker knows of its container."""
    container = docker.containers.get(probe.name)
    # MinIO does not tell its version to clients.
    if container and probe.name == "minio" and probe.latency is not None and not probe.version:
        probe = replace(probe, version=container.image.rpartition(":")[2])
    if probe.is_ok or docker.trouble or probe.name not in SERVICES:
        return probe
    reason, hint = container_state.explain(probe.name, container)
    if probe.status is ProbeStatus.DEGRADED:
        starting = container is not None and container.health == "starting"
        return replace(probe, hint=hint) if starting and reason else probe
    if not reason:
        hint = f"`clipstack logs {probe.name}` may say why; `clipstack restart {probe.name}`"
        return replace(probe, reason=f"running, but {probe.reason}", hint=hint)
    if container and container.state == "running":
        reason = f"{reason}: {probe.reason}"
    return replace(probe, reason=reason, hint=hint)


def _with_dependencies(found: Mapping[str, Probe]) -> Probe:
    """Milvus in the light of what it stands on: without them it answers, for a while."""
    milvus = found["milvus"]
    etcd, minio = found.get("etcd"), found.get("minio")
    gone: list[tuple[str, str, Probe]] = []
    if minio and minio.status is ProbeStatus.DOWN:
        gone.append(("its object store", "writes and loads will fail", minio))
    if etcd and etcd.status is ProbeStatus.DOWN:
        gone.append(("etcd", "changes will fail, and it may stop", etcd))
    if not gone:
        return milvus
    named = " and ".join(name for name, _, _ in gone)
    negated = f"{named} does not" if len(gone) == 1 else f"{named} do not"
    hint = gone[0][2].hint
    if milvus.status is ProbeStatus.OK:
        effects = "; ".join(effect for _, effect, _ in gone)
        reason = f"answers, but {negated}: {effects}"
        return replace(milvus, status=ProbeStatus.DEGRADED, reason=reason, hint=hint)
    if milvus.reason.startswith(("stopped", "paused", "not created")):
        return milvus
    return replace(milvus, reason=f"{milvus.reason}; {negated} answer", hint=hint)
