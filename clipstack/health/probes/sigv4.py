"""A request and a key in, the headers that sign it for S3 out."""

from __future__ import annotations

import datetime
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"


def signed(
    method: str,
    url: str,
    key: str,
    secret: str,
    *,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    now: datetime.datetime | None = None,
    region: str = "us-east-1",
    service: str = "s3",
) -> dict[str, str]:
    """The headers of a request with AWS Signature Version 4, Authorization among them.

    The steps are those of https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

    Args:
        url: with its path already encoded; of its query, each name once.
        key, secret: the access key and the secret key.
        headers: more headers to sign and send.
        now: the time in UTC; None for the present time.
    """
    parts = urlsplit(url)
    stamp = (now or datetime.datetime.now(datetime.UTC)).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    sent = {"host": parts.netloc, "x-amz-date": stamp, **(headers or {})}
    if service == "s3":
        sent["x-amz-content-sha256"] = digest
    names = ";".join(sorted(sent))
    query = "&".join(sorted(_pair(pair) for pair in parts.query.split("&") if pair))
    lines = [f"{name}:{' '.join(sent[name].split())}" for name in sorted(sent)]
    canonical = "\n".join([method, parts.path or "/", query, *lines, "", names, digest])
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join([_ALGORITHM, stamp, scope, hashed])
    signing = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        signing = hmac.digest(signing, part.encode(), "sha256")
    signature = hmac.digest(signing, text.encode(), "sha256").hex()
    credential = f"Credential={key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**sent, "Authorization": f"{_ALGORITHM} {credential}"}


def _pair(pair: str) -> str:
    name, _, value = pair.partition("=")
    return f"{quote(name, safe='-_.~%')}={quote(value, safe='-_.~%')}"
