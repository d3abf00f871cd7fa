"""The health of a named target: its Milvus and its encoders."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from clipstack.health import concurrency, model
from clipstack.health.probes import bentoml, milvus
from clipstack.health.probes.http import silence_reason
from clipstack.health.probes.result import ProbeResult, ProbeStatus
from clipstack.health.report import HealthReport
from clipstack.index.milvus import rpc_probe
from clipstack.index.milvus.connection import Tls
from clipstack.settings import Settings


def check(settings: Settings, seconds: float, deep: bool) -> HealthReport:
    """Probe Milvus over RPC, and each encoder of `encoder_url`, or the model of this machine.

    Args:
        seconds: for all of it.
        deep: whether to write to Milvus, and encode with the model of this machine, too.
    """
    rpc_probe.prepare()
    until = time.monotonic() + seconds
    address = milvus.MilvusAddress(
        settings.milvus_uri,
        token=settings.milvus_token,
        database=settings.milvus_database,
        tls=Tls.from_settings(settings),
        collection=settings.collection,
    )
    work: dict[str, Callable[[], ProbeResult]] = {
        "milvus": lambda: milvus.probe(address, until - time.monotonic(), deep=deep)
    }
    urls = {"milvus": settings.milvus_uri}
    for name, url in encoder_services(settings).items():
        urls[name] = url
        work[name] = partial(probe_encoder, settings, name, url, until)
    if len(work) == 1:
        urls["model"] = settings.model
        work["model"] = lambda: model.probe(settings, None, deep=deep)
    done = concurrency.run(work, until - time.monotonic())
    late = partial(ProbeResult, status=ProbeStatus.DOWN, reason=silence_reason(seconds))
    probes = (done.get(name) or late(name, url=urls[name]) for name in work)
    return HealthReport(settings.target, tuple(with_hint(probe, settings) for probe in probes))


def with_hint(probe: ProbeResult, settings: Settings) -> ProbeResult:
    """The result for a service of another machine, with a hint if it does not answer."""
    if probe.status is not ProbeStatus.DOWN or probe.hint:
        return probe
    setting = "milvus_uri" if probe.name == "milvus" else "encoder_url"
    origin = settings.origins.get(setting, "default")
    return replace(probe, hint=f"Does it run, and is its address right? It is from {origin}.")


def encoder_services(settings: Settings) -> dict[str, str]:
    """The URLs of `encoder_url` by service: encoder, or encoder-1 and so on."""
    urls = settings.encoder_urls
    if len(urls) == 1:
        return {"encoder": urls[0]}
    return {f"encoder-{number}": url for number, url in enumerate(urls, 1)}


def probe_encoder(settings: Settings, name: str, url: str, until: float) -> ProbeResult:
    """Probe one encoder service of `encoder_url`."""
    left = max(0.1, until - time.monotonic())
    return bentoml.probe(url, settings.encoder_token, left, name=name)
