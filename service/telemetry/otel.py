"""Traces by OpenTelemetry, exported over OTLP. Imported where BINDERY_TRACES asks for it, and nowhere else.

Where they go, how they are sampled and what the service is called is up to OpenTelemetry's own variables
(https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service import __version__
from service.telemetry.traces import Attributes, Span

_LAST_SECONDS = 2.0
_context = TraceContextTextMapPropagator()


class OpenTelemetry:
    """Spans that are sent off in batches, by a thread of their own."""

    def __init__(self, part: str) -> None:
        named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": f"bindery-{part}"}
        self._provider = TracerProvider(resource=Resource.create({**named, "service.version": __version__}))
        self._exporter = OTLPSpanExporter()
        self._batches = BatchSpanProcessor(self._exporter)
        self._provider.add_span_processor(self._batches)
        self._tracer = self._provider.get_tracer("bindery", __version__)

    @contextmanager
    def request(self, name: str, headers: Mapping[str, str], attributes: Attributes) -> Iterator[Span]:
        """A request, in the trace that its headers name, or the first of a new one."""
        with _span(self._tracer, name, SpanKind.SERVER, attributes, _context.extract(headers)) as span:
            yield span

    @contextmanager
    def job(self, name: str, traceparent: str | None, attributes: Attributes) -> Iterator[Span]:
        """A job, in the trace of the request that caused it."""
        with _span(self._tracer, name, SpanKind.CONSUMER, attributes, _parent(traceparent)) as span:
            yield span

    @contextmanager
    def call(self, name: str, attributes: Attributes) -> Iterator[Span]:
        """A call that the job makes."""
        with _span(self._tracer, name, SpanKind.CLIENT, attributes, None) as span:
            yield span

    def outgoing(self) -> dict[str, str]:
        """The headers with which a request to elsewhere belongs to the trace."""
        carrier: dict[str, str] = {}
        _context.inject(carrier)
        return carrier

    async def aclose(self) -> None:
        """Send what is not sent yet, but not for long."""
        flushing = asyncio.ensure_future(asyncio.to_thread(self._batches.force_flush))
        await asyncio.wait({flushing}, timeout=_LAST_SECONDS)
        # A collector that is away is tried again and again; this ends it.
        await asyncio.to_thread(self._exporter.shutdown)
        await asyncio.to_thread(self._provider.shutdown)
        await flushing


class _Noted:
    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def note(self, attributes: Attributes) -> None:
        for name, value in attributes.items():
            self._span.set_attribute(name, value)


@contextmanager
def _span(
    tracer: trace.Tracer, name: str, kind: SpanKind, attributes: Attributes, parent: Context | None
) -> Iterator[_Noted]:
    with tracer.start_as_current_span(
        name,
        context=parent,
        kind=kind,
        attributes=attributes,
        # An exception's text may quote an address.
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield _Noted(span)
        except BaseException as error:  # noted, cancellation too, and raised again
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(Status(StatusCode.ERROR))
            raise


def _parent(traceparent: str | None) -> Context | None:
    return _context.extract({"traceparent": traceparent}) if traceparent else None
