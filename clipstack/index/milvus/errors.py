"""What an error of pymilvus or gRPC means for a user, and whether it may pass."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from clipstack.errors import ClipstackError, NotFoundError, UnreachableError, UsageError

HEALTH = "`clipstack health` says more."
# Milvus' own codes (merr/errors.go): unavailable, out of memory, too many requests, internal, out
# of disk, rate limit, writing denied, not loaded; channels, segments and nodes that are not there
# yet; the object store; the message queue. All pass when it has recovered. 1, "not ready", is also
# pymilvus' own for everything else, so there the text must tell.
_PASSING = {
    *(2, 3, 4, 5, 7, 8, 9, 101, 103, 500, 501, 502, 503, 600, 601, 602),
    *(901, 902, 903, 904, 905, 1001, 1300, 1301, 1302),
}
# Names that are taken or missing, and parameters that are wrong, whatever the text says.
_FINAL = {100, 102, 700, 702, 800, 801, 1100, 1101, 1102, 1600, 1601, 1602}
_PASSING_TEXT = re.compile(
    r"not ready|not healthy|unhealthy|unavailable|unreachable|not available|no available"
    r"|shard leader|shard delegator|channel|node not (found|match)|nodeID|server (is )?closed"
    r"|not synced|connection refused|connection reset|connection error|broken pipe|transport"
    r"|etcdserver|context (deadline|canceled)|deadline exceeded|timed? ?out|no such host"
    r"|fail to get (tso|timestamp)|syncTimestamp|failed to (get|connect|alloc)|EOF|is stopping"
    r"|find no available|not in serviceable|lack of|tsafe|request limit|rate ?limit"
    r"|initializing|recovering|abnormal|retry",
    re.IGNORECASE,
)
# A filter that Milvus can't read or run; its words hold "EOF" and other signs of an outage.
_FILTER = re.compile(
    r"cannot parse expression|invalid expr|predicate is not a boolean|expr type check failed"
    r"|unsupported expr|FilterBitsNode|of compare expr",
    re.IGNORECASE,
)
_FULL = re.compile(r"memory.*(quota|limit|exceed)|quota exceeded.*memory", re.IGNORECASE)
_DISK = re.compile(r"disk.*(quota|limit|exceed)", re.IGNORECASE)
_TOKEN = re.compile(r"auth check failure|unauthenticated|not authenticated|auth fail", re.I)
_TLS = re.compile(r"certificate|handshake|hostname verification|peer name|\bssl\b", re.IGNORECASE)
# A port of a container answers before the server in it does, and then hangs up.
_HUNG_UP = re.compile(r"handshake read failed|connection reset|socket closed", re.IGNORECASE)
_LOST = re.compile(r"\[\w+\] Retry (run out of \d+ retry times|timeout: [\d.]+s)(, message=|, )?")


@dataclass(frozen=True, slots=True)
class Fault:
    """What went wrong.

    Attributes:
        error: in the user's words.
        passing: whether the same call may succeed later.
    """

    error: ClipstackError
    passing: bool = False


def of(error: Exception, where: str) -> Fault | None:
    """What an exception of pymilvus' or gRPC's means, None for any other.

    Args:
        where: the server's address.
    """
    import grpc
    from pymilvus.exceptions import MilvusException

    if isinstance(error, grpc.RpcError):
        return _of_grpc(_status(error.code()), str(error.details() or ""), where)
    if not isinstance(error, MilvusException):
        return None
    text = " ".join(_LOST.sub("", str(error.message)).split())
    if isinstance(error.code, grpc.StatusCode):
        return _of_grpc(error.code.name, text, where)
    cause = _cause(error)
    if cause is not None:
        return _of_grpc(_status(cause.code()), str(cause.details() or text), where)
    return _of_milvus(int(error.code), text, where)


def _status(code: object) -> str:
    """gRPC's code by name; its calls and its errors differ in what they hold."""
    code = code() if callable(code) else code
    return str(getattr(code, "name", code))


def _cause(error: BaseException) -> Any:
    """gRPC's error behind one of pymilvus'."""
    import grpc

    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        if isinstance(link, grpc.RpcError) and hasattr(link, "details"):
            return link
        link = link.__cause__ if link.__cause__ not in (None, link) else link.__context__
    return None


def _of_grpc(status: str, text: str, where: str) -> Fault:
    said = _short(text)
    if status == "UNAVAILABLE" and _TLS.search(text) and not _HUNG_UP.search(text):
        return Fault(_tls(text, where))
    if status == "UNAUTHENTICATED" or _TOKEN.search(text):
        return Fault(token(where))
    if status == "PERMISSION_DENIED":
        return Fault(ClipstackError(f"the Milvus at {where} does not permit this: {said}"))
    if status == "UNIMPLEMENTED":
        return Fault(ClipstackError(f"the Milvus at {where} can't do this"))
    if status in ("INVALID_ARGUMENT", "OUT_OF_RANGE"):
        return Fault(ClipstackError(f"Milvus refused the request: {said}"))
    if status == "DEADLINE_EXCEEDED":
        said = "it gives no answer"
    elif status == "UNAVAILABLE":
        said = _unavailable(text)
    error = UnreachableError(f"no Milvus answers at {where}: {said or status.lower()}", hint=HEALTH)
    return Fault(error, passing=True)


def _of_milvus(code: int, text: str, where: str) -> Fault:
    said = _short(text)
    if _FILTER.search(text):
        return Fault(_bad_filter(text))
    if _TOKEN.search(text) or code == 1400:
        return Fault(token(where))
    if code == 1401 or "permission deny" in text.lower():
        return Fault(ClipstackError(f"the Milvus at {where} does not permit this: {said}"))
    if code == 100 or "collection not found" in text.lower():
        return Fault(NotFoundError("the collection is not there any more: somebody dropped it"))
    if code == 800 or "database not found" in text.lower():
        return Fault(
            NotFoundError(
                f"the Milvus at {where} has no such database",
                hint="Check CLIPSTACK_MILVUS_DATABASE.",
            )
        )
    if (code in (3, 9) and _FULL.search(text)) or _FULL.search(text):
        hint = "Release collections that are not searched, or give Milvus more memory."
        return Fault(UnreachableError(f"Milvus is out of memory: {said}", hint=hint), True)
    if code == 7 or _DISK.search(text):
        hint = "Drop what is not needed, or give Milvus more room."
        return Fault(UnreachableError(f"Milvus is out of disk: {said}", hint=hint), True)
    if code == 8 or "ratelimit" in text.lower().replace(" ", ""):
        return Fault(UnreachableError(f"Milvus limits how fast it is written to: {said}"), True)
    if code == 101:
        hint = "Somebody released it, or it is loading: see `clipstack collections list`."
        return Fault(UnreachableError("the collection is not loaded", hint=hint), passing=True)
    if code in _PASSING or (code not in _FINAL and _PASSING_TEXT.search(text)):
        error = UnreachableError(f"the Milvus at {where} is not ready: {said}", hint=HEALTH)
        return Fault(error, passing=True)
    return Fault(ClipstackError(f"Milvus answered: {said} (code {code})"))


def _bad_filter(text: str) -> UsageError:
    said = re.sub(r"^.*cannot parse expression: .*, error: |\bat /\S+.*", "", text)
    return UsageError(
        f"this Milvus does not take the filter: {_short(said.strip(' =>:'))}",
        hint="Versions of Milvus differ in what filters can say; "
        "comparisons, `in`, `and`, `or` and json_contains always work.",
    )


def token(where: str) -> UnreachableError:
    """The error for a token that is missing or wrong."""
    return UnreachableError(
        f"the Milvus at {where} does not accept the token, or asks for one",
        hint="Put user:password, or an API key, into CLIPSTACK_MILVUS_TOKEN.",
    )


def _tls(text: str, where: str) -> UnreachableError:
    said = _short(text)
    if "VERIFY_FAILED" in text:
        said = "no authority that is trusted here signed its certificate"
    elif re.search("hostname verification|peer name", text, re.IGNORECASE):
        said = "its certificate is for another name"
    return UnreachableError(
        f"no TLS connection to {where}: {said}",
        hint="Name the authority's file with CLIPSTACK_TLS_CA, and the certificate's name with "
        "CLIPSTACK_TLS_SERVER_NAME where it is not the address.",
    )


def _unavailable(text: str) -> str:
    if "refused" in text.lower():
        return "connection refused"
    return _short(text).removeprefix("failed to connect to all addresses; last error: ")


def _short(text: str) -> str:
    """One line without Go's stack traces and gRPC's debug output."""
    text = re.split(r"stack trace:|, debug=|, channel_state=", text)[0]
    return " ".join(text.split())[:200].rstrip(" ,:")
