"""Differences between this machine's clock and those of Docker and of services."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from email.utils import parsedate_to_datetime

from clipstack.errors import PrerequisiteError, UsageError
from clipstack.stack import containers


def clock_skews(urls: Iterable[str], seconds: float) -> dict[str, float]:
    """Seconds by which this machine's clock is ahead of others, by their names.

    Args:
        urls: of services, whose clocks are read from the header Date.
        seconds: to wait for each.
    """
    skews: dict[str, float] = {}
    try:
        docker_time = str(containers.client(seconds).info().get("SystemTime", ""))
    except (PrerequisiteError, OSError):
        docker_time = ""
    if docker_time:
        skews["Docker's daemon"] = seconds_since(docker_time)
    for url in urls:
        skew = _service_skew(url, seconds)
        if skew is not None:
            skews[url] = skew
    return skews


def seconds_since(time: str, now: datetime.datetime | None = None) -> float:
    """Seconds from a time in RFC 3339 to `now`, None for the present time."""
    shortened = re.sub(r"(\.\d{6})\d+", r"\1", time)  # Docker gives nanoseconds
    then = datetime.datetime.fromisoformat(shortened)
    return ((now or datetime.datetime.now(datetime.UTC)) - then).total_seconds()


def _service_skew(url: str, seconds: float) -> float | None:
    import httpx

    from clipstack import http_client

    try:
        with http_client.new_client(timeout=seconds) as client:
            date = client.head(url + "/livez").headers.get("Date", "")
        then = parsedate_to_datetime(date)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, UsageError):
        return None
    return (datetime.datetime.now(datetime.UTC) - then).total_seconds()
