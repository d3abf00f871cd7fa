"""Probes of the object store."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clipstack.health.probes.http import ProbeClient
from clipstack.health.probes.result import (
    ProbeError,
    ProbeNotes,
    ProbeResult,
    ProbeStatus,
    run_probe,
)
from clipstack.health.probes.sigv4 import signed

if TYPE_CHECKING:
    import httpx

_OWN = "clipstack-health-"
_KEYS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied"}


def probe(url: str, key: str, secret: str, seconds: float, *, deep: bool = False) -> ProbeResult:
    """MinIO's own health checks and a signed list of buckets.

    Args:
        url: of the S3 port.
        key, secret: the stack's credentials.
        seconds: for all of it.
        deep: whether to put, get and delete an object in a temporary bucket too.
    """

    def work(notes: ProbeNotes) -> None:
        with ProbeClient(url, seconds) as client:
            live = client.request("GET", "/minio/health/live")
            notes.version = _version(live)
            _require(live, "it reports that it is not alive")
            cluster = client.request("GET", "/minio/health/cluster")
            _require(cluster, "some of its disks are missing")
            _signed(client, "GET", "/", key, secret)
            if deep:
                _round_trip(client, key, secret)

    return run_probe("minio", url, work)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of another object store: its URL, name and region, and the keys to it."""

    url: str
    name: str
    region: str
    key: str
    secret: str


def probe_bucket(bucket: Bucket, seconds: float) -> ProbeResult:
    """A signed HEAD of the bucket with Milvus' objects, where that is not the stack's MinIO.

    Milvus may reach it where this machine can't: without an answer it may still be up.
    """

    def work(_: ProbeNotes) -> None:
        path = f"/{bucket.name}"
        with ProbeClient(bucket.url, seconds) as client:
            headers = signed(
                "HEAD", client.url + path, bucket.key, bucket.secret, region=bucket.region
            )
            try:
                status = client.request("HEAD", path, headers=headers).status_code
            except ProbeError as error:
                reason = f"it can't be reached from this machine: {error.reason}"
                raise ProbeError(
                    ProbeStatus.DEGRADED, reason, "Is CLIPSTACK_S3_ADDRESS right?"
                ) from None
        if status in (401, 403):
            reason, hint = "it refuses the key", "See CLIPSTACK_S3_ACCESS_KEY and ..._SECRET_KEY."
            raise ProbeError(ProbeStatus.DEGRADED, reason, hint)
        if status == 404:
            reason = f"there is no bucket {bucket.name}"
            raise ProbeError(ProbeStatus.DEGRADED, reason, "Make it, or set CLIPSTACK_S3_BUCKET.")
        if status >= 400:
            raise ProbeError(ProbeStatus.DEGRADED, f"it answers with status {status}")

    return run_probe("s3", f"{bucket.url}/{bucket.name}", work)


def _version(response: httpx.Response) -> str:
    """The header Server, if it has a version."""
    server: str = response.headers.get("Server", "")
    return server if re.search(r"\d", server) else ""


def _require(response: httpx.Response, reason: str) -> None:
    if response.status_code != 200:
        raise ProbeError(
            ProbeStatus.DEGRADED,
            f"{reason} (status {response.status_code})",
            "`clipstack logs minio` says more.",
        )


def _signed(
    client: ProbeClient, method: str, path: str, key: str, secret: str, body: bytes = b""
) -> bytes:
    headers = signed(method, client.url + path, key, secret, body=body)
    response = client.request(method, path, headers=headers, content=body)
    if response.is_success:
        return response.content
    match = re.search(rb"<Code>(\w+)</Code>", response.content)
    code = match[1].decode() if match else f"status {response.status_code}"
    if code == "RequestTimeTooSkewed":
        raise ProbeError(
            ProbeStatus.DEGRADED,
            "its clock and this machine's differ",
            "Set the clock of both by NTP.",
        )
    if code in _KEYS or response.status_code in (401, 403):
        raise ProbeError(
            ProbeStatus.DEGRADED,
            f"it refuses the keys of this stack ({code})",
            "Unset CLIPSTACK_MINIO_USER and CLIPSTACK_MINIO_PASSWORD, or set them to the keys "
            "it was started with.",
        )
    raise ProbeError(
        ProbeStatus.DEGRADED, f"{method} {path} failed: {code}", "See `clipstack logs minio`."
    )


def _round_trip(client: ProbeClient, key: str, secret: str) -> None:
    bucket = f"/{_OWN}{secrets.token_hex(6)}"
    content = secrets.token_bytes(1024)
    _signed(client, "PUT", bucket, key, secret)
    try:
        _signed(client, "PUT", f"{bucket}/object", key, secret, content)
        try:
            if _signed(client, "GET", f"{bucket}/object", key, secret) != content:
                raise ProbeError(ProbeStatus.DEGRADED, "it returned other bytes than were stored")
        finally:
            _signed(client, "DELETE", f"{bucket}/object", key, secret)
    finally:
        _signed(client, "DELETE", bucket, key, secret)
