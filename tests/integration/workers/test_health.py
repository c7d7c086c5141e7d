"""A worker's probes, asked over its listener while real things go wrong."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.bootstrap import runtime
from service.settings import load
from service.sockets import bind
from tests.integration.workers.bench import Bench, environment
from tests.integration.workers.worker_process import WorkerProcess
from tests.servers.valkey import ValkeyServer, free_port
from tests.waiting import eventually
from workers.health import Health


@pytest.fixture
def own() -> Iterator[ValkeyServer]:
    """A server of the test's own."""
    with ValkeyServer(appendfsync="always") as server:
        yield server


def ask(port: int, path: str) -> tuple[int, Any]:
    """The status and what is said; 0 if nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            body = answer.read().decode()
            return answer.status, json.loads(body) if path != "/metrics" else body
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())
    except OSError:
        return 0, None


@pytest.mark.slow
async def test_a_worker_without_its_store_lives_and_is_not_ready(own: ValkeyServer, tmp_path: Path) -> None:
    """Before it is there, while it is gone, and ready again as soon as it is back; /metrics answers throughout."""
    port = free_port()
    own.kill()
    with WorkerProcess({**environment(own.url), "BINDERY_METRICS_PORT": str(port)}, tmp_path / "log") as worker:

        async def says(path: str, status: int) -> bool:
            return (await asyncio.to_thread(ask, port, path))[0] == status

        await eventually(lambda: says("/livez", 200))
        status, said = ask(port, "/readyz")
        assert (status, said["ready"]) == (503, False)
        assert said["checks"]["process"] == "starting"
        for _ in range(2):
            own.start()
            await eventually(lambda: says("/readyz", 200))
            own.kill()
            await eventually(lambda: says("/readyz", 503))
            assert await says("/livez", 200)
        assert "bindery_build_info{" in ask(port, "/metrics")[1]
        assert worker.running


async def test_a_stopping_worker_is_not_ready(bench: Bench) -> None:
    """It says so for as long as it still works."""
    stop = asyncio.Event()
    worker = Health(bench.running, stop)
    worker.started = True
    assert (await worker.ready())[0]
    stop.set()
    holds, said = await worker.ready()
    assert (holds, said.checks) == (False, {"store": "ok", "queue": "ok", "process": "stopping"})


async def test_a_loop_that_hangs_is_not_live(bench: Bench) -> None:
    """Though its event loop may well turn."""
    worker = Health(bench.running, asyncio.Event())
    assert (await worker.live())[0]
    worker._turned -= 1000
    holds, said = await worker.live()
    assert (holds, said.status) == (False, "stalled")
    worker.turn()
    assert (await worker.live())[0]


async def test_a_port_that_is_taken_ends_the_start(own: ValkeyServer, tmp_path: Path) -> None:
    """With the setting's name, instead of a worker that no probe reaches."""
    with bind("127.0.0.1", 0) as taken:
        settings = {**environment(own.url), "BINDERY_METRICS_PORT": str(taken.getsockname()[1])}
        with WorkerProcess({**settings, "BINDERY_LOG_FORMAT": "json"}, tmp_path / "log") as worker:
            assert await asyncio.to_thread(worker.wait) == 3
            assert "BINDERY_METRICS_PORT" in worker.output


async def test_what_it_sees_is_in_its_metrics(own: ValkeyServer, tmp_path: Path) -> None:
    """Jobs, delays, and, from its sweeps, ledgers, events, dead letters and memory."""
    port = free_port()
    async with runtime(load(environment(own.url))) as running:
        desk = Bench(running)
        settings = {**environment(own.url), "BINDERY_METRICS_PORT": str(port)}
        with WorkerProcess(settings, tmp_path / "log") as worker:
            await desk.login("alice", "token")

            async def seen() -> bool:
                lines = (await asyncio.to_thread(ask, port, "/metrics"))[1] or ""
                return all(line in lines for line in EXPECTED)

            await eventually(seen)
            worker.send(signal.SIGTERM)
            assert await asyncio.to_thread(worker.wait) == 0


async def test_a_sweep_that_never_comes_is_late(tmp_path: Path) -> None:
    """A worker that does not reach the store from its start on: the alert on its sweeps needs something to go by."""
    port, began = free_port(), time.time()
    settings = {**environment(f"redis://127.0.0.1:{free_port()}"), "BINDERY_METRICS_PORT": str(port)}
    swept = re.compile(r'^bindery_swept_timestamp_seconds{service_name="default"} (\S+)$', re.MULTILINE)
    with WorkerProcess(settings, tmp_path / "log"):

        async def seen() -> bool:
            found = swept.search((await asyncio.to_thread(ask, port, "/metrics"))[1] or "")
            return found is not None and float(found[1]) >= began

        await eventually(seen)


EXPECTED = [
    'bindery_answered_to_applied_seconds_count{ledger="notify",service_name="default"} 1.0',
    'bindery_job_duration_seconds_count{ledger="notify",outcome="drained"} 1.0',
    'bindery_ledger_settled_total{ledger="notify",service_name="default",verdict="held"} 1.0',
    'bindery_ledger_depth{ledger="notify",service_name="default"} 0.0',
    'bindery_ledger_overdue{ledger="chat",service_name="default"} 0.0',
    'bindery_ledger_oldest_overdue_seconds{ledger="notify",service_name="default"} 0.0',
    'bindery_events{service_name="default"} 2.0',
    'bindery_dead_letters{service_name="default"} 0.0',
    'bindery_store_memory_max_bytes{service_name="default"} 0.0',
    'bindery_store_memory_used_bytes{service_name="default"} ',
    'bindery_swept_timestamp_seconds{service_name="default"} ',
    'bindery_store_call_duration_seconds_count{call="take"} ',
    'bindery_build_info{part="worker"',
]
