"""The sweep: wakes lanes with overdue work that nobody was woken for, which is what makes the queue disposable.

It is no job of the queue, but goes on beside it: nothing that holds up a queue holds it up, nor does a clock that is
set back, at which arq's cron jobs would wait for the hour that they were due at.
"""

from __future__ import annotations

import asyncio

import structlog

from service.domain.errors import BinderyError
from service.telemetry.catalogue import LANES_SWEPT
from service.usecases.service import Directory, Service
from workers.showing import show

EVERY_SECONDS = 2.0

# A queue that fails a worker does so at once. Its lanes are left to whoever works without it: a sweep would hold their
# wake flags for jobs that do not get there.
_FIRST_SECONDS = 1.0

_log = structlog.get_logger(__name__)


async def keep_sweeping(directory: Directory) -> None:
    """Sweep every two seconds, until cancelled."""
    await asyncio.sleep(_FIRST_SECONDS)
    while True:
        await sweep(directory)
        await asyncio.sleep(EVERY_SECONDS)


async def sweep(directory: Directory) -> None:
    """One look at each Service. Raises nothing."""
    for service in directory.services:
        try:
            await _sweep(service)
        except BinderyError as error:
            _log.warning("sweep_failed", service=service.sid, error=error.slug)
        except Exception as error:  # noqa: BLE001  # an edge: what breaks one sweep is no end of sweeping
            _log.error("sweep_broke", service=service.sid, exc_info=error)


async def _sweep(service: Service) -> None:
    seen = await service.ledgers.sweep()
    show(service, seen)
    if seen.wake:
        service.wake(seen.wake)
        LANES_SWEPT.labels(service.config.name).inc(len(seen.wake) // 2)
        _log.info("sweep", service=service.sid, woken=len(seen.wake) // 2, depth=seen.depth, oldest_ms=seen.oldest_ms)
