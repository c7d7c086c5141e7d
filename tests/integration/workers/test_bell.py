"""arq's loop with a bell in it: prompt, fair, and never busy for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import msgspec
import pytest
from arq.constants import in_progress_key_prefix, job_key_prefix
from arq.typing import WorkerCoroutine
from arq.worker import func

from service.domain.jobs import DrainLane, Lane, Ledger
from service.queue import BELL, QUEUE
from tests.integration.workers.bench import SERVICE, Bench
from tests.servers.valkey import ValkeyServer
from tests.waiting import eventually
from workers.bell import BellWorker
from workers.connection import close_queue, open_queue

Hire = Callable[[WorkerCoroutine], AbstractAsyncContextManager[BellWorker]]


@pytest.fixture
def hire(valkey: ValkeyServer) -> Hire:
    """Runs a worker that does a given thing for each job."""

    @asynccontextmanager
    async def working(job: WorkerCoroutine) -> AsyncIterator[BellWorker]:
        worker = BellWorker(
            open_queue(valkey.url, timeout=2),
            [func(job, name="drain_lane")],
            job_seconds=20,
            ctx={},
        )
        serving = asyncio.create_task(worker.serve())
        try:
            yield worker
        finally:
            worker.stop()
            await serving
            await worker.finish(0)

    return working


class Done:
    """Counts the jobs that were done."""

    def __init__(self) -> None:
        self.jobs: list[Any] = []

    def job(self) -> WorkerCoroutine:
        """As arq wants it: a coroutine function."""

        async def job(ctx: dict[str, Any], raw: Any) -> None:  # noqa: ARG001  # arq's signature
            self.jobs.append(raw)

        return job


def wake(bench: Bench, count: int = 1, traceparent: str | None = None) -> None:
    """Enqueue jobs as the API does."""
    bench.running.queue.wake([Lane(SERVICE, Ledger.NOTIFY, n % 8) for n in range(count)], traceparent)


async def test_arq_reads_the_jobs_that_the_service_writes(bench: Bench, valkey: ValkeyServer) -> None:
    """The service writes arq's format by itself, and arq finds a function's name and a lane in it."""
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    wake(bench, traceparent=trace)
    await bench.running.queue.aclose()
    queue = open_queue(valkey.url, timeout=2)
    [job] = await queue.queued_jobs()
    await close_queue(queue)
    assert job.function == "drain_lane"
    [raw] = job.args
    assert msgspec.convert(raw, DrainLane) == DrainLane(Lane(SERVICE, Ledger.NOTIFY, 0), trace)


async def test_an_idle_worker_answers_the_bell(bench: Bench, hire: Hire, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job is begun because of the ring, not because the next look at the queue is due."""
    monkeypatch.setattr("workers.bell.LISTEN_SECONDS", 1.5)
    done = Done()
    loop = asyncio.get_running_loop()
    async with hire(done.job()) as worker:
        delays = []
        for n in range(5):
            await eventually(lambda: _listens(worker))
            began = loop.time()
            wake(bench)
            await eventually(lambda n=n: _is(len(done.jobs) > n))  # type: ignore[misc]
            delays.append(loop.time() - began)
    # Looks at fixed times would take three quarters of a second on average.
    assert sorted(delays)[2] < 0.3


async def test_more_jobs_than_a_worker_runs_at_once_are_all_run(bench: Bench, hire: Hire) -> None:
    """The bell keeps 64 rings at most; a worker that was full looks again as soon as it is not."""
    done = Done()
    wake(bench, 400)
    await bench.running.queue.aclose()
    async with hire(done.job()):
        await eventually(lambda: _is(len(done.jobs) == 400))


@pytest.mark.parametrize("count", [40, 600])
async def test_a_job_behind_locked_ones_is_run(bench: Bench, valkey: ValkeyServer, hire: Hire, count: int) -> None:
    """Killed workers leave their jobs locked at the head of the queue, more than are read at a time if need be."""
    wake(bench, count)
    await bench.running.queue.aclose()
    jobs = valkey.call("ZRANGE", QUEUE, 0, -1)
    assert isinstance(jobs, list)
    valkey.call("MSET", *(word for job in jobs for word in (in_progress_key_prefix.encode() + job, "1")))
    done = Done()
    async with hire(done.job()):
        wake(bench)
        await eventually(lambda: _is(len(done.jobs) > 0))
    assert len(done.jobs) == 1


async def test_what_has_expired_while_no_worker_was_there_does_not_pile_up(bench: Bench, valkey: ValkeyServer) -> None:
    """Those that come after it let it go: a worker that returns finds no more jobs than have come of late."""
    wake(bench, 60)
    await bench.running.queue.aclose()
    jobs = valkey.call("ZRANGE", QUEUE, 0, -1)
    assert isinstance(jobs, list)
    valkey.call("DEL", *(job_key_prefix.encode() + job for job in jobs[:-3]))
    wake(bench, 10)
    await bench.running.queue.aclose()
    left = valkey.call("ZRANGE", QUEUE, 0, -1)
    assert isinstance(left, list)
    assert len(left) == 13
    assert set(jobs[-3:]) < set(left)


async def test_stale_rings_are_cleared_away(valkey: ValkeyServer, hire: Hire) -> None:
    """Rings that nothing is behind cost a look or two in all, not one each."""
    valkey.call("LPUSH", BELL, *([""] * 64))
    valkey.call("CONFIG", "RESETSTAT")
    async with hire(Done().job()) as worker:
        await eventually(lambda: _is(valkey.call("LLEN", BELL) == 0))
        await eventually(lambda: _listens(worker))
    stats = valkey.call("INFO", "commandstats")
    assert isinstance(stats, bytes)
    rings = [line for line in stats.decode().splitlines() if line.startswith("cmdstat_blpop")]
    assert int(rings[0].partition("calls=")[2].partition(",")[0]) < 10


async def test_a_job_behind_stale_rings_is_run(bench: Bench, valkey: ValkeyServer, hire: Hire) -> None:
    """Clearing rings away never clears away a job."""
    done = Done()
    async with hire(done.job()):
        for n in range(20):
            valkey.call("LPUSH", BELL, *([""] * 5))
            wake(bench)
            await eventually(lambda n=n: _is(len(done.jobs) > n))  # type: ignore[misc]


async def test_a_cancelled_job_stays_on_the_queue(bench: Bench, valkey: ValkeyServer, hire: Hire) -> None:
    """The next worker begins it at once: it is not marked as in progress."""
    begun = asyncio.Event()

    async def stuck(ctx: dict[str, Any], raw: Any) -> None:  # noqa: ARG001  # arq's signature
        begun.set()
        await asyncio.Event().wait()

    wake(bench)
    async with hire(stuck):
        await begun.wait()
    jobs = valkey.call("ZRANGEBYSCORE", QUEUE, 0, "+inf")
    assert isinstance(jobs, list)
    assert len(jobs) == 1
    assert valkey.call("EXISTS", in_progress_key_prefix.encode() + jobs[0]) == 0
    done = Done()
    async with hire(done.job()):
        await eventually(lambda: _is(len(done.jobs) == 1))


async def _is(fact: bool) -> bool:
    return fact


async def _listens(worker: BellWorker) -> bool:
    return worker._listening is not None
