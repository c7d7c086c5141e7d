"""Traces: one from an app's request through the job that it causes to the calls of its backend.

Off, which is the default, nothing of OpenTelemetry is imported: requests have no middleware for it, and the spans of
jobs and calls are no-ops. The ids of W3C Trace Context are in logs and jobs all the same.

Spans hold route templates, names and counts. No exception is recorded in one: its text may quote an address.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import Protocol, TypeAlias

Attributes: TypeAlias = Mapping[str, str | int]


class Span(Protocol):
    """What is going on, to be told more of."""

    def note(self, attributes: Attributes) -> None:
        """Add to what is known of it."""
        ...


class Tracing(Protocol):
    """What OpenTelemetry is asked to do."""

    def request(self, name: str, headers: Mapping[str, str], attributes: Attributes) -> AbstractContextManager[Span]:
        """A request, in the trace that its headers name, or the first of a new one."""
        ...

    def job(self, name: str, traceparent: str | None, attributes: Attributes) -> AbstractContextManager[Span]:
        """A job, in the trace of the request that caused it."""
        ...

    def call(self, name: str, attributes: Attributes) -> AbstractContextManager[Span]:
        """A call that the job makes."""
        ...

    def outgoing(self) -> dict[str, str]:
        """The headers with which a request to elsewhere belongs to the trace."""
        ...

    async def aclose(self) -> None:
        """Send what is not sent yet, but not for long."""
        ...


class _Nothing:
    def note(self, attributes: Attributes) -> None:
        """Nobody listens."""


_off: AbstractContextManager[Span] = nullcontext(_Nothing())
_tracing: Tracing | None = None


@asynccontextmanager
async def tracing(mode: str, part: str) -> AsyncIterator[None]:
    """Trace while the context lasts, as BINDERY_TRACES says; ``part`` is ``api`` or ``worker``."""
    global _tracing  # of the process, like OpenTelemetry's own
    if mode == "none":
        yield
        return
    from service.telemetry.otel import OpenTelemetry  # an extra, and slow to import

    _tracing = started = OpenTelemetry(part)
    try:
        yield
    finally:
        _tracing = None
        await started.aclose()


def request(name: str, headers: Mapping[str, str], attributes: Attributes) -> AbstractContextManager[Span]:
    """The span of a request that has come with these headers."""
    return _off if _tracing is None else _tracing.request(name, headers, attributes)


def job(name: str, traceparent: str | None, attributes: Attributes) -> AbstractContextManager[Span]:
    """The span of a job."""
    return _off if _tracing is None else _tracing.job(name, traceparent, attributes)


def call(name: str, attributes: Attributes) -> AbstractContextManager[Span]:
    """The span of a call to a backend, or to an upstream."""
    return _off if _tracing is None else _tracing.call(name, attributes)


def outgoing() -> dict[str, str]:
    """The headers that tie a request to an upstream to the span that is going on; none without traces."""
    return {} if _tracing is None else _tracing.outgoing()
