"""How fast a worker works off a full ledger, beside plain arq with one job per registration."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from arq import create_pool

from tests.benchmarks.devices import devices
from tests.benchmarks.fill import fill
from tests.benchmarks.measuring import Spread, spread
from tests.benchmarks.peers import plain_worker
from tests.benchmarks.processes import Program, python
from tests.benchmarks.scale import Scale
from tests.benchmarks.site import Site

_GLANCE = 0.005
_PATIENCE = 60.0


class Drained(msgspec.Struct, frozen=True):
    """Registrations applied per second, and microseconds of worker CPU for each."""

    rate: float
    cpu: float


class Draining(msgspec.Struct, frozen=True):
    """Samples of each round."""

    ours: list[Drained]
    plain: list[Drained]

    def ratio(self) -> Spread:
        """How many times plain arq's rate ours is, round by round."""
        return spread([ours.rate / plain.rate for ours, plain in zip(self.ours, self.plain, strict=True)])

    def cpu_ratio(self) -> Spread:
        """How many times ours plain arq's CPU time per registration is."""
        return spread([plain.cpu / ours.cpu for ours, plain in zip(self.ours, self.plain, strict=True)])


async def run(site: Site, folder: Path, scale: Scale, say: Callable[[str], None]) -> Draining:
    """Both in every round, each with its worker held still while the work is queued.

    Raises AssertionError if what was owed has not been applied.
    """
    found = Draining([], [])
    argv = python("-m", "tests.benchmarks.peers.plain_worker", site.valkey.url, plain_worker.QUEUE)
    for number in range(scale.rounds):
        say(f"draining, round {number + 1} of {scale.rounds}")
        found.ours.append(await drain(site, f"drained-{number}", scale.drained))
        with Program(argv, folder / "plain-worker.log") as plain:
            found.plain.append(await _plain(site, plain, f"drained-{number}", scale.plain))
    return found


async def drain(site: Site, label: str, count: int) -> Drained:
    """Owe the workers of a site so many registrations, then let them loose.

    Raises AssertionError if what was owed has not been applied.
    """
    owed = devices(label, count)
    await site.settled()
    for worker in site.workers:
        worker.pause()
    await fill(site.service, iter(owed), settle=False)

    async def done() -> bool:
        return await site.depth() == 0

    drained = await _time(site.workers, count, done)
    await site.check_holds(owed)
    return drained


async def _plain(site: Site, worker: Program, label: str, count: int) -> Drained:
    store = site.running.store
    await store.command("DEL", plain_worker.APPLIED)
    settings = plain_worker.redis_settings(site.valkey.url)
    pool = await create_pool(settings, job_serializer=plain_worker.encode, default_queue_name=plain_worker.QUEUE)
    try:
        # A first job tells that the worker is up.
        await pool.enqueue_job("register", "", "apn", "first", None)
        await _until(lambda: _held(site, 1))
        worker.pause()
        for device in devices(label, count):
            await pool.enqueue_job("register", device.identity, device.kind.value, device.address, device.device_id)
        return await _time([worker], count, lambda: _held(site, count + 1))
    finally:
        await pool.aclose()
        await store.command("DEL", plain_worker.APPLIED)


async def _held(site: Site, count: int) -> bool:
    return await site.running.store.command("HLEN", plain_worker.APPLIED) == count


async def _time(workers: list[Program], count: int, done: Callable[[], Awaitable[bool]]) -> Drained:
    cpu, started = sum(worker.cpu_seconds() for worker in workers), time.perf_counter()
    for worker in workers:
        worker.resume()
    await _until(done)
    seconds = time.perf_counter() - started
    return Drained(count / seconds, (sum(worker.cpu_seconds() for worker in workers) - cpu) / count * 1e6)


async def _until(done: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(_PATIENCE):
        while not await done():  # noqa: ASYNC110  # the state is another process's
            await asyncio.sleep(_GLANCE)
