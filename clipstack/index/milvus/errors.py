"""Errors of pymilvus and gRPC, translated for the user, and whether they are transient."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from clipstack.errors import ClipstackError, NotFoundError, UnreachableError, UsageError
from clipstack.index import naming

_HEALTH_HINT = "`clipstack health` says more."
# Milvus' own codes (merr/errors.go): unavailable, out of memory, too many requests, internal, out
# of disk, rate limit, writing denied, out of resources, not loaded, recovering; missing channels,
# segments and nodes; the object store; the message queue. All pass once Milvus has recovered. 1,
# "not ready", is also pymilvus' code for everything else, so that the text decides.
_TRANSIENT_CODES = {
    *(2, 3, 4, 5, 7, 8, 9, 12, 101, 103, 106, 201, 202, 305, 500, 501, 502, 503),
    *(600, 601, 602, 901, 902, 903, 904, 905, 1001, 1002, 1300, 1301, 1302),
}
# Names that are taken or missing, and invalid parameters, whatever the text says.
_PERMANENT_CODES = {100, 102, 700, 702, 800, 801, 1100, 1101, 1102, 1600, 1601, 1602}
_TRANSIENT_TEXT = re.compile(
    r"not ready|not healthy|unhealthy|unavailable|unreachable|not available|no available"
    r"|shard leader|shard delegator|channel|node not (found|match)|nodeID|server (is )?closed"
    r"|not synced|connection refused|connection reset|connection error|broken pipe|transport"
    r"|etcdserver|context (deadline|canceled)|deadline exceeded|timed? ?out|no such host"
    r"|fail to get (tso|timestamp)|syncTimestamp|failed to (get|connect|alloc)|EOF|is stopping"
    r"|find no available|not in serviceable|lack of|tsafe|request limit|rate ?limit"
    r"|initializing|recovering|abnormal|retry",
    re.IGNORECASE,
)
# A filter that Milvus can't parse or run; these texts hold "EOF" and other signs of outages too.
_FILTER_TEXT = re.compile(
    r"cannot parse expression|invalid expr|predicate is not a boolean|expr type check failed"
    r"|unsupported expr|FilterBitsNode|of compare expr",
    re.IGNORECASE,
)
_MEMORY_TEXT = re.compile(r"memory.*(quota|limit|exceed)|quota exceeded.*memory", re.IGNORECASE)
_DISK_TEXT = re.compile(r"disk.*(quota|limit|exceed)", re.IGNORECASE)
_TOKEN_TEXT = re.compile(r"auth check failure|unauthenticated|not authenticated|auth fail", re.I)
_TLS_TEXT = re.compile(
    r"certificate|handshake|hostname verification|peer name|\bssl\b", re.IGNORECASE
)
# The port of a container accepts connections before the server does, and then closes them.
_HUNG_UP_TEXT = re.compile(r"handshake read failed|connection reset|socket closed", re.IGNORECASE)
_RETRY_PREFIX = re.compile(
    r"\[\w+\] Retry (run out of \d+ retry times|timeout: [\d.]+s)(, message=|, )?"
)


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed call.

    Attributes:
        error: for the user.
        is_transient: whether the same call may succeed later.
        is_timeout: whether the server gave no answer in time.
    """

    error: ClipstackError
    is_transient: bool = False
    is_timeout: bool = False


def translate_error(error: Exception, address: str) -> Failure | None:
    """The failure behind an exception of pymilvus or gRPC; None for any other exception.

    Args:
        address: of the server.
    """
    import grpc
    from pymilvus.exceptions import MilvusException

    if isinstance(error, grpc.RpcError):
        return _from_grpc(_status(error.code()), str(error.details() or ""), address)
    if not isinstance(error, MilvusException):
        return None
    text = " ".join(_RETRY_PREFIX.sub("", str(error.message)).split())
    if isinstance(error.code, grpc.StatusCode):
        return _from_grpc(error.code.name, text, address)
    cause = _grpc_cause(error)
    if cause is not None:
        return _from_grpc(_status(cause.code()), str(cause.details() or text), address)
    return _from_milvus(int(error.code), text, address)


def _status(code: object) -> str:
    """The name of a gRPC status code, which errors hold in several forms."""
    code = code() if callable(code) else code
    return str(getattr(code, "name", code))


def _grpc_cause(error: BaseException) -> Any:
    """The gRPC error that caused an error of pymilvus, or None."""
    import grpc

    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        if isinstance(link, grpc.RpcError) and hasattr(link, "details"):
            return link
        link = link.__cause__ if link.__cause__ not in (None, link) else link.__context__
    return None


def _from_grpc(status: str, text: str, address: str) -> Failure:
    reason = _shorten(text)
    if status == "UNAVAILABLE" and _TLS_TEXT.search(text) and not _HUNG_UP_TEXT.search(text):
        return Failure(_tls_error(text, address))
    if status == "UNAUTHENTICATED" or _TOKEN_TEXT.search(text):
        return Failure(_token_error(address))
    if status == "PERMISSION_DENIED":
        return Failure(ClipstackError(f"the Milvus at {address} does not permit this: {reason}"))
    if status == "UNIMPLEMENTED":
        return Failure(ClipstackError(f"the Milvus at {address} can't do this"))
    if status in ("INVALID_ARGUMENT", "OUT_OF_RANGE"):
        return Failure(ClipstackError(f"Milvus refused the request: {reason}"))
    if status == "DEADLINE_EXCEEDED":
        reason = "it gives no answer"
    elif status == "UNAVAILABLE":
        reason = _unavailable_reason(text)
    error = UnreachableError(
        f"no Milvus answers at {address}: {reason or status.lower()}", hint=_HEALTH_HINT
    )
    return Failure(error, is_transient=True, is_timeout=status == "DEADLINE_EXCEEDED")


def _from_milvus(code: int, text: str, address: str) -> Failure:
    reason = _shorten(text)
    if _FILTER_TEXT.search(text):
        return Failure(_filter_error(text))
    if _TOKEN_TEXT.search(text) or code == 1400:
        return Failure(_token_error(address))
    if code == 1401 or "permission deny" in text.lower():
        return Failure(ClipstackError(f"the Milvus at {address} does not permit this: {reason}"))
    if code == 100 or "collection not found" in text.lower():
        return Failure(naming.dropped_error())
    if code == 800 or "database not found" in text.lower():
        return Failure(
            NotFoundError(
                f"the Milvus at {address} has no such database",
                hint="Check CLIPSTACK_MILVUS_DATABASE.",
            )
        )
    if (code in (3, 9) and _MEMORY_TEXT.search(text)) or _MEMORY_TEXT.search(text):
        hint = "Release collections that are not searched, or give Milvus more memory."
        return Failure(UnreachableError(f"Milvus is out of memory: {reason}", hint=hint), True)
    if code == 7 or _DISK_TEXT.search(text):
        hint = "Drop what is not needed, or give Milvus more room."
        return Failure(UnreachableError(f"Milvus is out of disk: {reason}", hint=hint), True)
    if code == 8 or "ratelimit" in text.lower().replace(" ", ""):
        return Failure(UnreachableError(f"Milvus limits how fast it is written to: {reason}"), True)
    if code == 101:
        hint = "Somebody released it, or it is loading: see `clipstack collections list`."
        return Failure(
            UnreachableError("the collection is not loaded", hint=hint), is_transient=True
        )
    if code in _TRANSIENT_CODES or (code not in _PERMANENT_CODES and _TRANSIENT_TEXT.search(text)):
        error = UnreachableError(
            f"the Milvus at {address} is not ready: {reason}", hint=_HEALTH_HINT
        )
        return Failure(error, is_transient=True)
    return Failure(ClipstackError(f"Milvus answered: {reason} (code {code})"))


def _filter_error(text: str) -> UsageError:
    reason = re.sub(r"^.*cannot parse expression: .*, error: |\bat /\S+.*", "", text)
    return UsageError(
        f"this Milvus does not take the filter: {_shorten(reason.strip(' =>:'))}",
        hint="Versions of Milvus differ in what filters can say; "
        "comparisons, `in`, `and`, `or` and json_contains always work.",
    )


def _token_error(address: str) -> UnreachableError:
    """The error for a missing or wrong token."""
    return UnreachableError(
        f"the Milvus at {address} does not accept the token, or asks for one",
        hint="Put user:password, or an API key, into CLIPSTACK_MILVUS_TOKEN.",
    )


def _tls_error(text: str, address: str) -> UnreachableError:
    reason = _shorten(text)
    if "VERIFY_FAILED" in text:
        reason = "no authority that is trusted here signed its certificate"
    elif re.search("hostname verification|peer name", text, re.IGNORECASE):
        reason = "its certificate is for another name"
    return UnreachableError(
        f"no TLS connection to {address}: {reason}",
        hint="Name the authority's file with CLIPSTACK_TLS_CA, and the certificate's name with "
        "CLIPSTACK_TLS_SERVER_NAME where it is not the address.",
    )


def _unavailable_reason(text: str) -> str:
    if "refused" in text.lower():
        return "connection refused"
    return _shorten(text).removeprefix("failed to connect to all addresses; last error: ")


def _shorten(text: str) -> str:
    """The text in one line, without Go's stack traces and gRPC's debug output."""
    text = re.split(r"stack trace:|, debug=|, channel_state=", text)[0]
    return " ".join(text.split())[:200].rstrip(" ,:")
