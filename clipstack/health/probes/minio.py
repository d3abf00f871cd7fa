"""The object store's address and keys in; whether it stores, for these keys, out."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clipstack.health.probes.http import Asker
from clipstack.health.probes.result import Notes, Probe, ProbeStatus, UnwellError, look
from clipstack.health.probes.sigv4 import signed

if TYPE_CHECKING:
    import httpx

_OWN = "clipstack-health-"
_KEYS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied"}


def probe(url: str, key: str, secret: str, seconds: float, *, deep: bool = False) -> Probe:
    """MinIO's own health checks and a signed list of the buckets.

    Args:
        url: of its S3 port.
        key, secret: the stack's credentials.
        seconds: for all of it.
        deep: also make a bucket of our own, put, get and delete an object in it, and remove it.
    """

    def work(notes: Notes) -> None:
        with Asker(url, seconds) as ask:
            live = ask("GET", "/minio/health/live")
            notes.version = _version(live)
            _require(live, "it calls itself dead")
            _require(ask("GET", "/minio/health/cluster"), "its disks are not all there")
            _signed(ask, "GET", "/", key, secret)
            if deep:
                _round_trip(ask, key, secret)

    return look("minio", url, work)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket elsewhere: the store's URL, the bucket's name and region, and the keys to it."""

    url: str
    name: str
    region: str
    key: str
    secret: str


def probe_bucket(bucket: Bucket, seconds: float) -> Probe:
    """A signed HEAD of the bucket that Milvus keeps its objects in, where that is not MinIO's.

    It may be reachable for Milvus and not from here, so no answer does not mean that it is down.
    """

    def work(_: Notes) -> None:
        path = f"/{bucket.name}"
        with Asker(bucket.url, seconds, proxies=True) as ask:
            headers = signed(
                "HEAD", ask.url + path, bucket.key, bucket.secret, region=bucket.region
            )
            try:
                status = ask("HEAD", path, headers=headers).status_code
            except UnwellError as error:
                reason = f"not to be reached from this machine: {error.reason}"
                raise UnwellError(
                    ProbeStatus.DEGRADED, reason, "Is CLIPSTACK_S3_ADDRESS right?"
                ) from None
        if status in (401, 403):
            reason, hint = "it refuses the key", "See CLIPSTACK_S3_ACCESS_KEY and ..._SECRET_KEY."
            raise UnwellError(ProbeStatus.DEGRADED, reason, hint)
        if status == 404:
            reason = f"there is no bucket {bucket.name}"
            raise UnwellError(ProbeStatus.DEGRADED, reason, "Make it, or set CLIPSTACK_S3_BUCKET.")
        if status >= 400:
            raise UnwellError(ProbeStatus.DEGRADED, f"it answers with status {status}")

    return look("s3", f"{bucket.url}/{bucket.name}", work)


def _version(response: httpx.Response) -> str:
    """What the header Server says, if it says a version."""
    server: str = response.headers.get("Server", "")
    return server if re.search(r"\d", server) else ""


def _require(response: httpx.Response, reason: str) -> None:
    if response.status_code != 200:
        raise UnwellError(
            ProbeStatus.DEGRADED,
            f"{reason} (status {response.status_code})",
            "`clipstack logs minio` says more.",
        )


def _signed(ask: Asker, method: str, path: str, key: str, secret: str, body: bytes = b"") -> bytes:
    headers = signed(method, ask.url + path, key, secret, body=body)
    response = ask(method, path, headers=headers, content=body)
    if response.is_success:
        return response.content
    found = re.search(rb"<Code>(\w+)</Code>", response.content)
    code = found[1].decode() if found else f"status {response.status_code}"
    if code == "RequestTimeTooSkewed":
        raise UnwellError(
            ProbeStatus.DEGRADED,
            "its clock and this machine's differ",
            "Set the clock of both by NTP.",
        )
    if code in _KEYS or response.status_code in (401, 403):
        raise UnwellError(
            ProbeStatus.DEGRADED,
            f"it refuses the keys of this stack ({code})",
            "Unset CLIPSTACK_MINIO_USER and CLIPSTACK_MINIO_PASSWORD, or set them to the keys "
            "it was started with.",
        )
    raise UnwellError(
        ProbeStatus.DEGRADED, f"{method} {path} failed: {code}", "See `clipstack logs minio`."
    )


def _round_trip(ask: Asker, key: str, secret: str) -> None:
    bucket = f"/{_OWN}{secrets.token_hex(6)}"
    content = secrets.token_bytes(1024)
    _signed(ask, "PUT", bucket, key, secret)
    try:
        _signed(ask, "PUT", f"{bucket}/object", key, secret, content)
        try:
            if _signed(ask, "GET", f"{bucket}/object", key, secret) != content:
                raise UnwellError(ProbeStatus.DEGRADED, "it gave back other bytes than were put")
        finally:
            _signed(ask, "DELETE", f"{bucket}/object", key, secret)
    finally:
        _signed(ask, "DELETE", bucket, key, secret)
