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
from clipstack.health.probes.result import Notes, Probe, ProbeStatus, UnwellError, look
from clipstack.health.remote import encoder, encoder_urls, with_hint
from clipstack.health.report import HealthReport
from clipstack.index.connect import connect, is_there
from clipstack.index.schema import CollectionInfo
from clipstack.settings import Settings


@dataclass(slots=True)
class _Opened:
    """What the database told of the collection searched by default."""

    probe: Probe
    info: CollectionInfo | None = None


def check(settings: Settings, seconds: float, deep: bool) -> HealthReport:
    """Open the database and count its rows; find the model, or ask the encoders of `encoder_url`.

    Args:
        seconds: for all of it.
        deep: also encode a text with the model of this machine.
    """
    until = time.monotonic() + seconds
    work: dict[str, Callable[[], Any]] = {"database": lambda: _database_and_model(settings, deep)}
    for name, url in encoder_urls(settings).items():
        work[name] = partial(encoder, settings, name, url, until)
    done = concurrency.run(work, until - time.monotonic())
    late = f"no answer {within(seconds)}"
    probes: list[Probe] = done.pop("database", None) or [
        Probe("database", ProbeStatus.DOWN, str(settings.database), reason=late)
    ]
    for name, url in encoder_urls(settings).items():
        probe = done.get(name) or Probe(name, ProbeStatus.DOWN, url, reason=late)
        probes.append(with_hint(probe, settings))
    return HealthReport(settings.target, tuple(probes))


def _database_and_model(settings: Settings, deep: bool) -> list[Probe]:
    """One after the other: the collection says which model it needs."""
    opened = _database(settings)
    if settings.encoder_url:
        return [opened.probe]
    return [opened.probe, model.probe(settings, opened.info, deep=deep)]


def _database(settings: Settings) -> _Opened:
    found: list[CollectionInfo] = []

    def work(notes: Notes) -> None:
        if not is_there(settings):
            notes.reason = "not made yet: `clipstack import FOLDER` makes it"
            return
        try:
            with connect(settings) as index:
                described = index.list()
        except ClipstackError as error:
            raise UnwellError(ProbeStatus.DOWN, error.message, error.hint) from None
        rows = sum(one.rows for one in described)
        notes.reason = f"{rows} rows in {len(described)} collections"
        found.extend(one.info for one in described if one.info and one.name == settings.collection)

    probe = look("database", str(settings.database), work)
    return _Opened(probe, found[0] if found else None)
