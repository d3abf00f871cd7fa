"""The health of the embedded target: its database and its model."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from clipstack.errors import ClipstackError
from clipstack.health import concurrency, model
from clipstack.health.probes.http import within
from clipstack.health.probes.result import (
    ProbeError,
    ProbeNotes,
    ProbeResult,
    ProbeStatus,
    run_probe,
)
from clipstack.health.remote import encoder_services, probe_encoder, with_hint
from clipstack.health.report import HealthReport
from clipstack.index.connect import connect, index_exists
from clipstack.index.schema import CollectionInfo
from clipstack.settings import Settings


@dataclass(slots=True)
class _DatabaseProbe:
    """The result for the database, and the collection that is searched by default."""

    result: ProbeResult
    collection: CollectionInfo | None = None


def check(settings: Settings, seconds: float, deep: bool) -> HealthReport:
    """Open the database and count its rows; find the model, or ask the encoders of `encoder_url`.

    Args:
        seconds: for all of it.
        deep: whether to encode a text with the model of this machine too.
    """
    until = time.monotonic() + seconds
    work: dict[str, Callable[[], Any]] = {"database": lambda: _database_and_model(settings, deep)}
    for name, url in encoder_services(settings).items():
        work[name] = partial(probe_encoder, settings, name, url, until)
    done = concurrency.run(work, until - time.monotonic())
    late = f"no answer {within(seconds)}"
    probes: list[ProbeResult] = done.pop("database", None) or [
        ProbeResult("database", ProbeStatus.DOWN, str(settings.database), reason=late)
    ]
    for name, url in encoder_services(settings).items():
        probe = done.get(name) or ProbeResult(name, ProbeStatus.DOWN, url, reason=late)
        probes.append(with_hint(probe, settings))
    return HealthReport(settings.target, tuple(probes))


def _database_and_model(settings: Settings, deep: bool) -> list[ProbeResult]:
    """Probe the database, then the model that its collection needs."""
    database = _database(settings)
    if settings.encoder_urls:
        return [database.result]
    return [database.result, model.probe(settings, database.collection, deep=deep)]


def _database(settings: Settings) -> _DatabaseProbe:
    collection: CollectionInfo | None = None

    def work(notes: ProbeNotes) -> None:
        nonlocal collection
        if not index_exists(settings):
            notes.reason = "not made yet: `clipstack import FOLDER` makes it"
            return
        try:
            with connect(settings) as index:
                collections = index.list()
        except ClipstackError as error:
            raise ProbeError(ProbeStatus.DOWN, error.message, error.hint) from None
        rows = sum(entry.rows for entry in collections)
        notes.reason = f"{rows} rows in {len(collections)} collections"
        by_name = {entry.name: entry.info for entry in collections}
        collection = by_name.get(settings.collection)

    result = run_probe("database", str(settings.database), work)
    return _DatabaseProbe(result, collection)
