"""Expiry, beside the queue: a step every few seconds, by whichever worker comes first, if there is a limit at all."""

from __future__ import annotations

import asyncio

from service.store.walks import Turns, Walk
from service.usecases.expiring import expire_step
from service.usecases.service import Directory
from workers.steps import take

EVERY_SECONDS = 3.0


async def keep_expiring(directory: Directory, stale_seconds: int) -> None:
    """Expire in every Service what has not been seen for so long, until cancelled; 0 stands for no limit."""
    while stale_seconds:
        await asyncio.sleep(EVERY_SECONDS)
        for service in directory.services:
            await take("expiry", service, expire_step(service, Turns(service.section, Walk.STALE), stale_seconds))
