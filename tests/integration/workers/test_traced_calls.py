"""The calls of backends in traces."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from service.telemetry import traces
from tests.e2e.operating.collector import Collector, collecting
from tests.integration.workers.bench import Bench, Troubled

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ADDRESS = "token-of-alice"


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector of the test's own."""
    with collecting() as running:
        yield running


async def test_what_upstreams_are_sent_belongs_to_the_trace(
    bench: Bench, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call within a backend is the job's grandchild, and its headers name it; a call that fails says how, no more."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
    sent: list[dict[str, str]] = []

    def call(_: object) -> None:
        with traces.call("POST /v1/Services/{}/Bindings", {"server.address": "upstream.test"}):
            sent.append(traces.outgoing())
            if len(sent) == 1:
                raise ValueError(f"a text with {ADDRESS}")

    bench.service.notify = Troubled(call)
    assert traces.outgoing() == {}
    async with traces.tracing("otlp", "worker"):
        await bench.login("alice", ADDRESS)
        await bench.drain(bench.lane(ADDRESS), f"00-{TRACE}-{PARENT}-01")
    spans = {span.id: span for span in collector.of_trace(TRACE)}
    [(_, _, last, _)] = [tuple(headers["traceparent"].split("-")) for headers in sent[:1]]
    called = spans[last]
    assert called.name == "POST /v1/Services/{}/Bindings"
    assert called.attributes["error.type"] == "ValueError"
    assert spans[spans[called.parent].parent].name == "drain notify"
    assert ADDRESS not in "".join(span.raw for span in spans.values())
