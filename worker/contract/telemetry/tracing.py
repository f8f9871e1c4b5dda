"""Traces (W3C Trace Context): spans, and the current one.

`Traces` as it stands here makes no spans: traces are off by default.
`worker.contract.telemetry.open_traces` opens those that go to a collector; nothing here imports
OpenTelemetry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

HEADER = "traceparent"

Kind = Literal["internal", "server", "client", "consumer"]
Attributes = Mapping[str, str | int | float | bool]

_current: ContextVar[str | None] = ContextVar(HEADER, default=None)


class Span:
    """Something that takes time, in a trace. This one is kept nowhere."""

    def say(self, attributes: Attributes) -> None:
        """Add attributes."""

    def fail(self, code: str) -> None:
        """It came to nothing, for this reason."""

    def child(self, name: str, attributes: Attributes, *, began_ns: int, ended_ns: int) -> None:
        """A span below this one, measured elsewhere, in nanoseconds since 1970."""


NO_SPAN = Span()


class Traces:
    """Makes spans; these make none."""

    on = False

    @contextmanager
    def span(
        self,
        name: str,
        *,
        parent: str | None = None,
        kind: Kind = "internal",
        attributes: Attributes | None = None,
    ) -> Iterator[Span]:
        """A span as long as the context, below `parent`, a traceparent, or what runs now.

        What runs in the context, and what copies this thread's context, is below it.
        """
        yield NO_SPAN

    def stop(self) -> None:
        """Send what is left, as far as that takes a moment."""


OFF = Traces()


def traceparent() -> str | None:
    """The current span as the header `traceparent`; None if there is none."""
    return _current.get()


@contextmanager
def below(traceparent: str | None) -> Iterator[None]:
    """A context whose spans and outgoing requests are below this span."""
    before = _current.get()
    _current.set(traceparent)
    try:
        yield
    finally:
        _current.set(before)


def trace_fields(traceparent: str | None) -> dict[str, str]:
    """The trace's id as logs tell it, under `trace_id`; nothing without a trace."""
    return {} if traceparent is None else {"trace_id": traceparent.split("-")[1]}
