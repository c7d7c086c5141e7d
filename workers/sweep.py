"""The sweep: wakes lanes with overdue work that nobody was woken for, which is what makes the queue disposable."""

from __future__ import annotations

from typing import Any

import structlog

from service.domain.errors import BinderyError
from service.usecases.service import Directory, Service

EVERY_SECONDS = 2

_log = structlog.get_logger(__name__)


async def sweep(ctx: dict[str, Any]) -> None:
    """arq's cron job: one look at each Service."""
    directory: Directory = ctx["directory"]
    for service in directory.services:
        try:
            await _sweep(service)
        except BinderyError as error:
            _log.warning("sweep_failed", service=service.sid, error=error.slug)
        except Exception as error:  # noqa: BLE001  # the job's edge: arq would log its text
            _log.error("sweep_broke", service=service.sid, exc_info=error)


async def _sweep(service: Service) -> None:
    seen = await service.ledgers.sweep()
    if seen.wake:
        service.wake(seen.wake)
        _log.info("sweep", service=service.sid, woken=len(seen.wake) // 2, depth=seen.depth, oldest_ms=seen.oldest_ms)
