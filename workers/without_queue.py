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

_log = structlog.get_logger(__name__)


async def without_queue(directory: Directory, stop: asyncio.Event, grace: float) -> None:
    """One sweep of every Service, and a drain of each lane that it finds overdue.

    Raises nothing. Once ``stop`` is set the work has ``grace`` seconds to end, then it is cancelled: its leases are
    handed back.
    """
    work = asyncio.ensure_future(_sweep_all(directory, stop))
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            await asyncio.wait({work}, timeout=max(0.0, grace))
    finally:
        stopped.cancel()
        work.cancel()
        await asyncio.wait({work})
    if not work.cancelled():
        work.result()


async def _sweep_all(directory: Directory, stop: asyncio.Event) -> None:
    for service in directory.services:
        try:
            seen = await service.ledgers.sweep()
        except BinderyError as error:
            # Most likely the store is away with the queue; the others share it.
            _log.debug("sweep_failed", service=service.sid, error=error.slug)
            return
        show(service, seen)
        if seen.wake:
            await _drain(directory, service, seen.wake, stop)


async def _drain(directory: Directory, service: Service, wake: bytes, stop: asyncio.Event) -> None:
    ctx = {"directory": directory, "stopping": stop, "pace": Pace(lambda: False)}
    jobs = (DrainLane(lane, None) for lane in lanes(service.sid, wake))
    await asyncio.gather(*(drain_lane(ctx, msgspec.to_builtins(job)) for job in jobs))
