"""Docker's engine and services in; how far this machine's clock is from theirs, out."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from email.utils import parsedate_to_datetime

from clipstack.errors import PrerequisiteError
from clipstack.stack import containers


def skews(urls: Iterable[str], seconds: float) -> dict[str, float]:
    """Seconds by which this machine's clock is ahead, by whose clock it was compared with.

    Args:
        urls: of services; their header Date tells.
        seconds: to wait for each.
    """
    found: dict[str, float] = {}
    try:
        said = str(containers.client(seconds).info().get("SystemTime", ""))
    except (PrerequisiteError, OSError):
        said = ""
    if said:
        found["Docker's engine"] = ahead(said)
    for url in urls:
        skew = _of_service(url, seconds)
        if skew is not None:
            found[url] = skew
    return found


def ahead(time: str, now: datetime.datetime | None = None) -> float:
    """Seconds by which `now` (default: this moment) is after a time in RFC 3339."""
    cut = re.sub(r"(\.\d{6})\d+", r"\1", time)  # the engine gives nanoseconds
    then = datetime.datetime.fromisoformat(cut)
    return ((now or datetime.datetime.now(datetime.UTC)) - then).total_seconds()


def _of_service(url: str, seconds: float) -> float | None:
    import httpx

    try:
        date = httpx.head(url + "/livez", timeout=seconds).headers.get("Date", "")
        then = parsedate_to_datetime(date)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return None
    return (datetime.datetime.now(datetime.UTC) - then).total_seconds()
