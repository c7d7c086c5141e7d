"""A worker that loses its queue while one Service's upstream answers nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.bootstrap import runtime
from service.settings import load
from tests.integration.upstream.pair import of_several, patient
from tests.integration.workers.bench import SERVICE, Bench
from tests.integration.workers.worker_process import WorkerProcess
from tests.servers.fault_proxy import Fault, FaultProxy, Kind
from tests.servers.valkey import ValkeyServer
from tests.waiting import eventually

pytestmark = pytest.mark.slow

OTHER = "IS" + "2" * 32
SERVICES = """
[[service]]
sid = "{dead}"
name = "dead"
[service.notify_upstream]
url = "{url}"

[[service]]
sid = "{other}"
name = "own"
"""


@pytest.fixture
def queue() -> Iterator[ValkeyServer]:
    """The job queue's own server."""
    with ValkeyServer() as server:
        yield server


def settings(valkey: ValkeyServer, queue: ValkeyServer, proxy: FaultProxy, directory: Path) -> dict[str, str]:
    """A Service whose upstream has ten seconds for an answer, and one that keeps its bindings here."""
    services = SERVICES.format(dead=SERVICE, other=OTHER, url=proxy.url)
    more = {"BINDERY_QUEUE_URL": queue.url, "BINDERY_LOG_FORMAT": "json"}
    return of_several(patient(valkey.url, proxy.url, **more), directory / "services.toml", services)


async def test_calls_that_hang_keep_no_other_service_waiting(
    valkey: ValkeyServer, queue: ValkeyServer, proxy: FaultProxy, tmp_path: Path
) -> None:
    """Neither while the queue's loss is dealt with, nor in all the time without it."""
    valkey.call("FLUSHALL")
    environ = settings(valkey, queue, proxy, tmp_path)
    proxy.chance(1, 1.0, [Fault(Kind.NEVER)])
    async with runtime(load(environ)) as running:
        dead, alive = Bench(running), Bench(running)
        alive.service = running.directory.named("own")
        with WorkerProcess(environ, tmp_path / "log"):
            await alive.login("first", "first")
            await eventually(lambda: alive.applied(["first"]))
            await dead.login_many(300)
            await proxy.met(Kind.NEVER, 16)
            queue.kill()
            slowest = 0.0
            for n in range(3):
                began = time.monotonic()
                await alive.login(f"user-{n}", f"alive-{n}")
                await eventually(lambda address=f"alive-{n}": alive.applied([address]), 30)  # type: ignore[misc]
                slowest = max(slowest, time.monotonic() - began)
    assert slowest < 6
