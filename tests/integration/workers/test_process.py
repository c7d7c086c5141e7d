"""The worker as a process: started, stopped, killed, and with its Valkey killed under it."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from service.bootstrap import runtime
from service.settings import load
from service.usecases.ending import log_out
from tests.integration.model.pair_desk import PairDesk
from tests.integration.workers.bench import Bench, environment
from tests.integration.workers.worker_process import WorkerProcess
from tests.servers.valkey import ValkeyServer
from tests.waiting import eventually

Start = Callable[..., WorkerProcess]


@pytest.fixture
def own() -> Iterator[ValkeyServer]:
    """A server of the test's own that loses nothing answered."""
    with ValkeyServer(appendfsync="always") as server:
        yield server


@pytest.fixture
async def desk(own: ValkeyServer) -> AsyncIterator[Bench]:
    """A runtime on that server."""
    async with runtime(load(environment(own.url))) as running:
        yield Bench(running)


@pytest.fixture
def start(own: ValkeyServer, tmp_path: Path) -> Iterator[Start]:
    """Starts workers on that server, or with other settings."""
    with ExitStack() as started:

        def start(name: str = "worker", **settings: str) -> WorkerProcess:
            environ = {**environment(own.url), "BINDERY_LOG_FORMAT": "json", **settings}
            return started.enter_context(WorkerProcess(environ, tmp_path / name))

        yield start


async def test_sigterm_ends_it_while_work_is_pending(desk: Bench, start: Start) -> None:
    """Status 0 within the grace, no lease left behind, and another worker does the rest."""
    worker = start(BINDERY_SHUTDOWN_GRACE="5")
    addresses = await desk.login_many(500)
    more = asyncio.create_task(desk.login_many(3000))
    await eventually(lambda: desk.applied(addresses[:1]))
    began = time.monotonic()
    worker.send(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait) == 0
    assert time.monotonic() - began < 5
    addresses = await more
    assert await desk.due() == await desk.depth()
    start("another")
    await eventually(lambda: _drained(desk))
    assert await desk.applied(addresses)


async def test_sigterm_before_the_store_is_there_ends_it(start: Start, tmp_path: Path) -> None:
    """A worker that still waits for its store stops as willingly."""
    worker = start(BINDERY_REDIS_URL=f"unix://{tmp_path}/none")
    await eventually(lambda: _logged(worker, "waiting_for_the_store"))
    worker.send(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait) == 0


async def test_sigkill_loses_nothing(desk: Bench, start: Start) -> None:
    """What the killed worker held is done by another when its leases are over."""
    worker = start()
    first = await desk.login_many(200)
    more = asyncio.create_task(desk.login_many(2000))
    await eventually(lambda: desk.applied(first[:1]))
    worker.send(signal.SIGKILL)
    assert worker.wait() == -signal.SIGKILL
    start("another")
    addresses = await more
    await eventually(lambda: _drained(desk), timeout=30)
    assert await desk.applied(addresses)


async def test_a_killed_valkey_is_outlived(desk: Bench, own: ValkeyServer, start: Start) -> None:
    """The worker says so, keeps running, and applies what comes once its Valkey is back; what was answered is there."""
    worker = start()
    answered = await desk.login_many(100)
    await eventually(lambda: desk.applied(answered[:1]))
    own.kill()
    await eventually(lambda: _logged(worker, "queue_lost"))
    own.start()
    await eventually(lambda: _drained(desk))
    await desk.login("late", "token-late")
    await eventually(lambda: desk.applied(["token-late"]))
    assert await desk.applied(answered)
    assert worker.running
    worker.send(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait) == 0


async def test_a_hanging_valkey_does_not_keep_it_from_stopping(desk: Bench, own: ValkeyServer, start: Start) -> None:
    """Within its grace, although nothing answers."""
    worker = start(BINDERY_SHUTDOWN_GRACE="4")
    await desk.login("alice", "token")
    await eventually(lambda: desk.applied(["token"]))
    own.pause()
    worker.send(signal.SIGTERM)
    try:
        assert await asyncio.to_thread(worker.wait, 6) == 0
    finally:
        own.resume()


async def test_the_loss_of_the_whole_queue_delays_and_loses_nothing(own: ValkeyServer, start: Start) -> None:
    """Every key of the queue vanishes: the sweep finds the lanes with overdue work."""
    with ValkeyServer() as queue:
        async with runtime(load(environment(own.url, queue.url))) as running:
            desk = Bench(running)
            addresses = await desk.login_many(300)
            await running.queue.aclose()
            assert queue.call("ZCARD", "bindery:jobs") == 8
            queue.call("FLUSHALL")
            worker = start(BINDERY_QUEUE_URL=queue.url)
            await eventually(lambda: _done(desk, addresses))
            assert '"event":"sweep"' in worker.output
            # And under way, again and again.
            more = asyncio.create_task(desk.login_many(3000))
            while not more.done():
                queue.call("FLUSHALL")
                await asyncio.wait({more}, timeout=0.1)
            await eventually(lambda: _done(desk, more.result()))


async def test_a_queue_that_comes_late_is_waited_for(own: ValkeyServer, start: Start) -> None:
    """The order in which a deployment's parts start does not matter."""
    with ValkeyServer() as queue:
        queue.kill()
        async with runtime(load(environment(own.url, queue.url))) as running:
            desk = Bench(running)
            worker = start(BINDERY_QUEUE_URL=queue.url)
            await eventually(lambda: _logged(worker, "queue_lost"))
            await desk.login("alice", "token")
            queue.start()
            await eventually(lambda: desk.applied(["token"]))
            assert worker.running


async def test_a_full_redis_does_not_keep_removals_from_being_applied(
    desk: Bench, own: ValkeyServer, start: Start
) -> None:
    """arq can write nothing then; the worker drains without it, without flooding its log, and goes on when it can."""
    worker = start()
    await desk.login("alice", "token")
    await eventually(lambda: desk.applied(["token"]))
    own.call("CONFIG", "SET", "maxmemory", "1")
    assert await log_out(desk.service, "alice") == 1
    await eventually(lambda: _gone(desk, "token"))
    assert worker.output.count("queue_lost") <= 1
    own.call("CONFIG", "SET", "maxmemory", "0")
    await desk.login("bob", "token-2")
    await eventually(lambda: desk.applied(["token-2"]))
    worker.send(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait) == 0


async def test_a_worker_without_its_queue_applies_what_is_owed(own: ValkeyServer, start: Start) -> None:
    """The queue is disposable: with its Redis away for good, work is only a little later."""
    with ValkeyServer() as queue:
        queue.kill()
        async with runtime(load(environment(own.url, queue.url))) as running:
            desk = Bench(running)
            worker = start(BINDERY_QUEUE_URL=queue.url)
            await eventually(lambda: _logged(worker, "queue_lost"))
            addresses = await desk.login_many(300)
            await eventually(lambda: desk.applied(addresses))


async def test_a_worker_lets_go_what_is_stale_where_there_is_a_limit(desk: Bench, start: Start) -> None:
    """Days after it was last seen, and nothing younger."""
    await desk.login("alice", "old", "phone")
    await desk.login("alice", "new", "tablet")
    await PairDesk(desk.service).age("old", 3 * 86_400)
    start(BINDERY_STALE_DAYS="2")

    async def gone() -> bool:
        return await desk.service.reading.registration(desk.service.fingerprints.address("old")) is None

    await eventually(gone, timeout=30)
    assert await desk.applied(["new"])


async def test_bad_settings_are_named_at_once(start: Start) -> None:
    """Status 2, a line for each fault."""
    worker = start(BINDERY_ACCOUNT_SID="AC1", BINDERY_LOG_LEVEL="loud")
    assert await asyncio.to_thread(worker.wait) == 2
    lines = worker.output.splitlines()
    assert [line.split()[2] for line in lines] == ["BINDERY_ACCOUNT_SID", "BINDERY_LOG_LEVEL"]


async def test_a_store_of_another_key_is_refused(desk: Bench, start: Start) -> None:
    """Status 1 and one line that says what to do."""
    await desk.login("alice", "token")
    worker = start(BINDERY_SECRET_KEY="another key, just as long as it must be")
    assert await asyncio.to_thread(worker.wait) == 1
    [line] = worker.output.splitlines()
    assert msgspec.json.decode(line)["event"] == "store_refused"
    assert "BINDERY_SECRET_KEY" in line


async def test_its_log_tells_of_jobs_and_of_nothing_secret(desk: Bench, start: Start) -> None:
    """One line for each job, with the request's trace id; no address, device id or identity in any of them."""
    worker = start(BINDERY_LOG_LEVEL="debug")
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    await desk.login("identity-of-alice", "token-of-alice", "device-of-alice", traceparent=trace)
    await eventually(lambda: desk.applied(["token-of-alice"]))
    await eventually(lambda: _logged(worker, '"event":"job"'))
    worker.send(signal.SIGTERM)
    await asyncio.to_thread(worker.wait)
    lines = [msgspec.json.decode(line) for line in worker.output.splitlines()]
    jobs = [line for line in lines if line["event"] == "job"]
    assert jobs[0]["trace_id"] == "a" * 32
    assert (jobs[0]["taken"], jobs[0]["settled"], jobs[0]["failed"]) == (1, 1, 0)
    for secret in ("alice", b"token-of-alice".hex()):
        assert secret not in worker.output


async def _drained(desk: Bench) -> bool:
    return await desk.depth() == 0


async def _gone(desk: Bench, address: str) -> bool:
    return await desk.service.reading.registration(desk.service.fingerprints.address(address)) is None


async def _done(desk: Bench, addresses: list[str]) -> bool:
    return await desk.applied(addresses)


async def _logged(worker: WorkerProcess, text: str) -> bool:
    return text in worker.output
