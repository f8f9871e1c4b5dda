"""Span of a claim in its job's trace, with a child for each stage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from worker.contract.records.job_record import Claim
from worker.contract.telemetry.tracing import Attributes, Span, Traces, below
from worker.observability import stage_times

CHUNKS_A_TRACE = 256
AND_EVERY = 64

_NAMES = {"plan": "plan", "finalize": "close"}


@contextmanager
def open_claim_span(traces: Traces, claim: Claim) -> Iterator[None]:
    """A context for the claim's work. Jobs whose request was not traced have no spans."""
    parent = claim.record.traceparent
    if not traces.on or parent is None:
        yield
    elif not is_shown(claim):
        with below(parent):
            yield
    else:
        name = _NAMES.get(claim.action, "chunk")
        with (
            traces.span(name, parent=parent, kind="consumer", attributes=_facts(claim)) as span,
            stage_times.gather() as times,
        ):
            try:
                yield
            finally:
                _add_stages(span, times)


def is_shown(claim: Claim) -> bool:
    """Has it a span? The first chunks of a job have, then one of many: a trace of a million
    pictures would be one that nobody can look at. One that runs again always has."""
    if not claim.chunk.isdecimal() or claim.attempts > 1:
        return True
    return claim.number < CHUNKS_A_TRACE or claim.number % AND_EVERY == 0


def _facts(claim: Claim) -> Attributes:
    return {
        "guanwu.job": claim.job,
        "guanwu.chunk": claim.chunk,
        "guanwu.verdict": claim.action,
        "guanwu.attempt": claim.attempts,
        "guanwu.images": claim.items,
    }


def _add_stages(span: Span, times: stage_times.StageTimes) -> None:
    for stage, time_of in times.all().items():
        facts = {"guanwu.calls": time_of.calls, "guanwu.busy_ms": round(time_of.busy_s * 1000, 2)}
        span.child(stage, facts, began_ns=time_of.began_ns, ended_ns=time_of.ended_ns)
