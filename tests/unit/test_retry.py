"""Waiting for a service: reported once it lasts, ended by time, an answer or Ctrl-C."""

from __future__ import annotations

import threading

import pytest

from clipstack.errors import ClipstackError, ExitCode, UnreachableError
from clipstack.ingest.pipeline import Outcome
from clipstack.output.out import Out
from clipstack.output.progress import ImportProgress
from clipstack.retry import Backoff, InterruptError, RetryPolicy
from tests.running import _Pipe, _Terminal

UNAVAILABLE = ClipstackError("nobody answers", hint="Start it.")


def test_pauses_grow_to_the_longest() -> None:
    backoff = Backoff(first=0.25, longest=5.0, factor=2.0)
    assert [backoff.pause(attempt) for attempt in range(6)] == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0]
    assert backoff.pause(100_000) == 5.0


def test_time_runs_out_with_the_reason() -> None:
    outage = RetryPolicy(1.3, hint="Run it again.").outage("Milvus")
    outage.wait(UNAVAILABLE, 0)
    outage.wait(UNAVAILABLE, 10)
    with pytest.raises(UnreachableError, match="Milvus: away for 1 s: nobody answers") as error:
        outage.wait(UNAVAILABLE, 10)
    assert error.value.code == ExitCode.UNREACHABLE
    assert error.value.hint == "Run it again."


def test_no_patience_gives_the_plain_reason_at_once() -> None:
    with pytest.raises(ClipstackError, match=r"^nobody answers$") as error:
        RetryPolicy(0).outage("Milvus").wait(UNAVAILABLE, 0)
    assert error.value.hint == "Start it."


def test_an_answer_starts_the_time_again() -> None:
    outage = RetryPolicy(0.6).outage("Milvus")
    for _ in range(4):
        outage.wait(UNAVAILABLE, 0)
        outage.over()
        assert not outage.is_ongoing


def test_ctrl_c_ends_it_at_once() -> None:
    policy = RetryPolicy(600)
    threading.Timer(0.2, policy.stop.set).start()
    with pytest.raises(InterruptError):
        policy.outage("Milvus").wait(UNAVAILABLE, 10)


def wait_and_come_back(progress: ImportProgress) -> None:
    outage = RetryPolicy(600, progress).outage("Milvus")
    for attempt in range(4):
        outage.wait(UNAVAILABLE, attempt)
    outage.over()
    outage.wait(UNAVAILABLE, 0)
    outage.over()


def test_a_pipe_gets_a_line_when_it_begins_and_one_when_it_ends() -> None:
    err = _Pipe()
    with ImportProgress(Out(stdout=_Pipe().stream, stderr=err.stream)) as progress:
        wait_and_come_back(progress)
    first, second = err.text().splitlines()
    assert first.startswith("nobody answers; waiting up to 10 min")
    assert second.startswith("Milvus is back after ")


def test_a_terminal_shows_it_in_the_bar() -> None:
    out, err = _Terminal(), _Terminal()
    with ImportProgress(Out(stdout=out.stream, stderr=err.stream)) as progress:
        progress.advance(3, Outcome.NEW)
        wait_and_come_back(progress)
    out.text()
    assert "Milvus is away, waiting 10 min" in err.text().replace("\n", " ")
