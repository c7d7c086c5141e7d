"""Draining without the queue: what a worker does while arq cannot work.

The queue's Redis may be away, or be full and refuse what arq writes. What is owed is in the store, and removals free
its memory: they must not wait for a queue.
"""

from __future__ import annotations

import asyncio

import msgspec
import structlog

from service.domain.errors import BinderyError
from service.domain.jobs import DrainLane
from service.store.ledger import lanes
from service.usecases.service import Directory, Service
from workers.drain import drain_lane
from workers.pace import Pace
from workers.showing import show

_ROUND_SECONDS = 1.0

_log = structlog.get_logger(__name__)


class WithoutQueue:
    """What is done for all Services while there is no queue, for each by itself: an upstream may answer nothing."""

    def __init__(self, directory: Directory, stop: asyncio.Event) -> None:
        self._directory, self._stop = directory, stop
        self._under_way: dict[str, asyncio.Task[None]] = {}

    async def sweep(self, grace: float) -> None:
        """Sweep every Service, and drain each lane that is overdue; what takes longer than a moment goes on.

        A Service whose last round still goes on is left out. Raises nothing. Once ``stop`` is set the work has
        ``grace`` seconds to end.
        """
        for service in self._directory.services:
            last = self._under_way.get(service.sid)
            if last is None or last.done():
                self._under_way[service.sid] = asyncio.ensure_future(_sweep(self._directory, service, self._stop))
        work = asyncio.ensure_future(asyncio.wait(self._under_way.values()))
        stopped = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({work, stopped}, timeout=_ROUND_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if self._stop.is_set():
                await asyncio.wait({work}, timeout=max(0.0, grace))
        finally:
            stopped.cancel()
            work.cancel()

    async def aclose(self) -> None:
        """Cancel what still goes on: its leases are handed back."""
        for task in self._under_way.values():
            task.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way.values())


async def _sweep(directory: Directory, service: Service, stop: asyncio.Event) -> None:
    try:
        seen = await service.ledgers.sweep()
    except BinderyError as error:
        # Most likely the store is away with the queue.
        _log.debug("sweep_failed", service=service.sid, error=error.slug)
        return
    except Exception as error:  # noqa: BLE001  # an edge: what breaks one sweep is no end of sweeping
        _log.error("sweep_broke", service=service.sid, exc_info=error)
        return
    show(service, seen)
    if seen.wake:
        await _drain(directory, service, seen.wake, stop)


async def _drain(directory: Directory, service: Service, wake: bytes, stop: asyncio.Event) -> None:
    ctx = {"directory": directory, "stopping": stop, "pace": Pace(lambda: False)}
    jobs = (DrainLane(lane, None) for lane in lanes(service.sid, wake))
    await asyncio.gather(*(drain_lane(ctx, msgspec.to_builtins(job)) for job in jobs))
