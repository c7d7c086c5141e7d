"""Expiry, beside the queue: a step every few seconds, by whichever worker comes first, if there is a limit at all."""

from __future__ import annotations

import asyncio

import structlog

from service.domain.errors import BinderyError
from service.store.audits import Turns, Walk
from service.usecases.expiring import expire_step
from service.usecases.service import Directory

EVERY_SECONDS = 3.0

_log = structlog.get_logger(__name__)


async def keep_expiring(directory: Directory, stale_seconds: int) -> None:
    """Expire in every Service what has not been seen for so long, until cancelled; 0 stands for no limit."""
    while stale_seconds:
        await asyncio.sleep(EVERY_SECONDS)
        for service in directory.services:
            try:
                count = await expire_step(service, Turns(service.section, Walk.STALE), stale_seconds)
            except BinderyError as error:
                _log.debug("expiry_failed", service=service.sid, error=type(error).__name__)
            except Exception as error:  # noqa: BLE001  # an edge: what breaks one step is no end of expiring
                _log.error("expiry_broke", service=service.sid, exc_info=error)
            else:
                if count:
                    _log.info("expired", service=service.sid, registrations=count)
