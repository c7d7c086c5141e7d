"""Traces, over real processes: one from an app's request to the call of its backend; and nothing where they are off."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.compatible.api_process import api_process
from tests.e2e.compatible.deployment import ACCOUNT, SERVICE, TOKEN
from tests.e2e.operating.collector import Collector, collecting
from tests.integration.workers.worker_process import WorkerProcess
from tests.servers.valkey import ValkeyServer, free_port
from tests.waiting import eventually

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ADDRESS = "5ec4e7" + "ab" * 29
SERVER, CONSUMER, CLIENT = 2, 5, 3
WITHIN_GRACE = 9


def traced(environ: dict[str, str], endpoint: str) -> dict[str, str]:
    """The deployment's settings, with traces."""
    otel = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    return {**environ, **otel, "BINDERY_TRACES": "otlp"}


def register(url: str, **headers: str) -> httpx.Response:
    """Alice's phone."""
    body = {"identity": "alice", "device_id": "capability-of-a-device", "binding_type": "apn", "address": ADDRESS}
    return httpx.post(f"{url}/v1/registrations", json=body, headers=headers, auth=(ACCOUNT, TOKEN), timeout=10)


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector of the test's own."""
    with collecting() as running:
        yield running


async def test_one_trace_from_the_request_to_the_backend(
    environ: dict[str, str], tmp_path: Path, collector: Collector
) -> None:
    """Request, job and call are each the child of the one before; the log's lines bear the same trace."""
    environ = traced(environ, collector.endpoint)
    with (
        api_process(environ, tmp_path) as url,
        WorkerProcess(environ, tmp_path / "worker.log") as worker,
    ):
        assert register(url, traceparent=f"00-{TRACE}-{PARENT}-01").status_code == 202

        async def complete() -> bool:
            return len(collector.of_trace(TRACE)) >= 3

        await eventually(complete)
        by_kind = {span.kind: span for span in collector.of_trace(TRACE)}
        request, job, call = by_kind[SERVER], by_kind[CONSUMER], by_kind[CLIENT]
        assert (request.name, request.parent) == ("POST /v1/registrations", PARENT)
        assert request.attributes["http.response.status_code"] == 202
        assert (job.name, job.parent, job.attributes["bindery.settled"]) == ("drain notify", request.id, 1)
        assert (call.name, call.parent) == ("reconcile", job.id)
        assert {span.service for span in (request, job, call)} == {"bindery-api", "bindery-worker"}
        assert TRACE in worker.output
        assert TRACE in (tmp_path / "api.log").read_text()
        for span in collector.spans:
            for secret in (ADDRESS, "capability", "alice", TOKEN):
                assert secret not in span.raw


@pytest.mark.slow
async def test_the_trace_goes_on_at_the_upstream(environ: dict[str, str], tmp_path: Path, collector: Collector) -> None:
    """A second Bindery's request is the child of the call that our worker has made."""
    there = tmp_path / "there"
    there.mkdir()
    with (
        ValkeyServer() as store,
        api_process({**traced(environ, collector.endpoint), "BINDERY_REDIS_URL": store.url}, there) as upstream,
    ):
        services = tmp_path / "with-upstream.toml"
        services.write_text(
            f'[[service]]\nsid = "{SERVICE}"\nname = "main"\n[service.notify_upstream]\nurl = "{upstream}"'
        )
        here = traced(environ, collector.endpoint) | {
            "BINDERY_SERVICES_FILE": str(services),
            "BINDERY_UPSTREAM_USER": ACCOUNT,
            "BINDERY_UPSTREAM_SECRET": TOKEN,
        }
        with api_process(here, tmp_path) as url, WorkerProcess(here, tmp_path / "worker.log"):
            assert register(url, traceparent=f"00-{TRACE}-{PARENT}-01").status_code == 202

            async def complete() -> bool:
                return len(collector.of_trace(TRACE)) >= 4

            await eventually(complete)
    spans = {span.id: span for span in collector.of_trace(TRACE)}
    [there_request] = [s for s in spans.values() if s.kind == SERVER and s.parent != PARENT]
    call = spans[there_request.parent]
    assert (call.name, call.kind, call.attributes["server.address"]) == ("upstream create", CLIENT, upstream[7:])
    assert spans[call.parent].name == "drain notify"
    for span in spans.values():
        for secret in (ADDRESS, "capability", "alice", TOKEN):
            assert secret not in span.raw


@pytest.mark.slow
async def test_a_collector_that_is_away_holds_up_nothing(environ: dict[str, str], tmp_path: Path) -> None:
    """Requests are answered, jobs done, and both processes end within their grace."""
    environ = traced(environ, f"http://127.0.0.1:{free_port()}")
    with api_process(environ, tmp_path) as url, WorkerProcess(environ, tmp_path / "worker.log") as worker:
        assert register(url, Prefer="wait=10").status_code == 201
        worker.send(signal.SIGTERM)
        assert worker.wait(WITHIN_GRACE) == 0
        began = time.monotonic()
    assert time.monotonic() - began < WITHIN_GRACE


def test_traces_that_are_off_are_not_imported() -> None:
    """By no process: not OpenTelemetry, nor, by a worker, what requests need."""
    for module in ("service.app", "workers.__main__"):
        code = f"import {module}, sys; print([n for n in sys.modules if n.startswith(('opentelemetry', 'litestar'))])"
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        assert "opentelemetry" not in done.stdout
        assert module == "service.app" or done.stdout.strip() == "[]"
