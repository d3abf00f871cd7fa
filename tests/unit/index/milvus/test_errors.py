"""What Milvus and gRPC say, in a user's words; what passes by itself is told from what does not."""

from __future__ import annotations

import grpc
import pytest
from pymilvus.exceptions import MilvusException

from clipstack.errors import ExitCode
from clipstack.index.milvus import errors

ADDRESS = "http://milvus:19530"


class Rpc(grpc.RpcError):
    """As gRPC raises it."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        self._code, self._details = code, details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details


@pytest.mark.parametrize(
    ("error", "words", "code"),
    [
        (Rpc(grpc.StatusCode.UNAVAILABLE, "connect: Connection refused"), "refused", 5),
        (Rpc(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"), "gives no answer", 5),
        (Rpc(grpc.StatusCode.CANCELLED, "Received RST_STREAM"), "RST_STREAM", 5),
        (
            MilvusException(grpc.StatusCode.UNAVAILABLE, "[query] Retry run out of 0 retry times"),
            "no Milvus answers",
            5,
        ),
        (Rpc(grpc.StatusCode.UNAVAILABLE, "Handshake read failed (Connection reset)"), "reset", 5),
        (MilvusException(8, "request is rejected by grpc RateLimiter"), "how fast", 5),
        (MilvusException(9, "quota exceeded[reason=memory quota exceeded]"), "out of memory", 5),
        (MilvusException(9, "quota exceeded[reason=disk quota exceeded]"), "out of disk", 5),
        (MilvusException(503, "channel not available[channel=x]"), "not ready", 5),
        (MilvusException(1, "service not ready[standalone=1]: Initializing"), "not ready", 5),
        (MilvusException(65535, "etcdserver: request timed out"), "not ready", 5),
        (MilvusException(101, "collection not loaded[collection=4]"), "not loaded", 5),
    ],
)
def test_what_passes(error: Exception, words: str, code: int) -> None:
    failure = errors.translate_error(error, ADDRESS)
    assert failure is not None
    assert failure.is_transient
    assert words in failure.error.message
    assert failure.error.code == code


@pytest.mark.parametrize(
    ("error", "words", "code"),
    [
        (Rpc(grpc.StatusCode.UNAUTHENTICATED, "auth check failure"), "token", 5),
        (MilvusException(1400, "auth check failure, please check username"), "token", 5),
        (MilvusException(65535, "PrivilegeInsert: permission deny for nobody"), "permit", 1),
        (MilvusException(100, "collection not found[collection=x]"), "dropped", 6),
        (MilvusException(800, "database not found[database=x]"), "no such database", 6),
        (MilvusException(1100, "the length (5000) of channel exceeds max length"), "5000", 1),
        (Rpc(grpc.StatusCode.UNIMPLEMENTED, ""), "can't do this", 1),
        (Rpc(grpc.StatusCode.UNAVAILABLE, "CERTIFICATE_VERIFY_FAILED"), "no TLS", 5),
    ],
)
def test_what_does_not(error: Exception, words: str, code: int) -> None:
    failure = errors.translate_error(error, ADDRESS)
    assert failure is not None
    assert words in failure.error.message
    assert failure.error.code == ExitCode(code)
    assert not failure.is_transient


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'failed to create query plan: cannot parse expression: width > 3 and (path == "x", '
            "error: line 1:26 missing ')' at '<EOF>'",
            "line 1:26 missing ')' at '<EOF>'",
        ),
        (
            'cannot parse expression: path like "%a%", error: unsupported pattern: %a%',
            "unsupported pattern: %a%",
        ),
        ("fail to Query: unsupported left datatype:JSON of compare expr at /go/x.cpp:3", "JSON"),
        (
            " => unsupported expr proto node: at /workspace/PlanProto.cpp:543 : segcore error",
            "expr",
        ),
        ("predicate is not a boolean expression: width, data type: Int64", "width"),
    ],
)
def test_a_bad_filter_is_no_outage(text: str, said: str) -> None:
    failure = errors.translate_error(MilvusException(65535, text), ADDRESS)
    assert failure is not None
    assert not failure.is_transient
    assert failure.error.code == ExitCode.USAGE
    assert failure.error.message.startswith("this Milvus does not take the filter: ")
    assert said in failure.error.message
    assert ".cpp" not in failure.error.message


def test_a_stack_trace_of_milvus_is_left_out() -> None:
    message = "nlist out of range: [1, 65536]: stack trace: /go/src/a.go:1\n/go/src/b.go:2"
    failure = errors.translate_error(MilvusException(65535, message), ADDRESS)
    assert failure is not None
    assert failure.error.message == "Milvus answered: nlist out of range: [1, 65536] (code 65535)"


def test_other_errors_are_not_milvus() -> None:
    assert errors.translate_error(ValueError("no"), ADDRESS) is None
