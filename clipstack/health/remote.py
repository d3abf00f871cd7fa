"""A named target's settings in; how its Milvus and its encoders are, out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from clipstack.health import concurrency, model
from clipstack.health.probes import bentoml, milvus
from clipstack.health.probes.http import silent
from clipstack.health.probes.result import Probe, ProbeStatus
from clipstack.health.report import HealthReport
from clipstack.index.milvus import rpc_probe
from clipstack.index.milvus.server import Tls
from clipstack.settings import Settings


def check(settings: Settings, seconds: float, deep: bool) -> HealthReport:
    """Probe Milvus over RPC, and each encoder of `encoder_url`, or the model of this machine.

    Args:
        seconds: for all of it.
        deep: also write to Milvus, and encode with the model of this machine.
    """
    rpc_probe.prepare()
    until = time.monotonic() + seconds
    access = milvus.Access(
        settings.milvus_uri,
        token=settings.milvus_token,
        database=settings.milvus_database,
        tls=Tls.of(settings),
        collection=settings.collection,
    )
    work: dict[str, Callable[[], Probe]] = {
        "milvus": lambda: milvus.probe(access, until - time.monotonic(), deep=deep)
    }
    urls = {"milvus": settings.milvus_uri}
    for name, url in encoder_urls(settings).items():
        urls[name] = url
        work[name] = partial(encoder, settings, name, url, until)
    if len(work) == 1:
        urls["model"] = settings.model
        work["model"] = lambda: model.probe(settings, None, deep=deep)
    done = concurrency.run(work, until - time.monotonic())
    found = (
        done.get(name) or Probe(name, ProbeStatus.DOWN, urls[name], reason=silent(seconds))
        for name in work
    )
    return HealthReport(settings.target, tuple(with_hint(one, settings) for one in found))


def with_hint(probe: Probe, settings: Settings) -> Probe:
    """A probe of another machine's service that gave no answer, with what to look at."""
    if probe.status is not ProbeStatus.DOWN or probe.hint:
        return probe
    setting = "milvus_uri" if probe.name == "milvus" else "encoder_url"
    origin = settings.origins.get(setting, "default")
    return replace(probe, hint=f"Does it run, and is its address right? It is from {origin}.")


def encoder_urls(settings: Settings) -> dict[str, str]:
    """The services of `encoder_url` by the names they get here: encoder, or encoder-1 and so on."""
    urls = settings.encoder_url.split()
    if len(urls) == 1:
        return {"encoder": urls[0]}
    return {f"encoder-{number}": url for number, url in enumerate(urls, 1)}


def encoder(settings: Settings, name: str, url: str, until: float) -> Probe:
    """One encoder service."""
    left = max(0.1, until - time.monotonic())
    return bentoml.probe(url, settings.encoder_token, left, name=name, proxies=True)
