"""Writing verdicts down although the store may be away for a moment, and handing leases back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from service.domain.errors import BinderyError, StoreUnavailable, TooManyRequests

T = TypeVar("T")

_PATIENCE, _FIRST_PAUSE, _LONGEST_PAUSE = 3.0, 0.05, 0.5
HAND_BACK_SECONDS: Final = 2.0

_log = structlog.get_logger(__name__)


async def persist(settle: Callable[[], Awaitable[T]]) -> T:
    """Settle, and again while the store is away, for some seconds: a second settlement of the same lease is harmless.

    Raises:
        StoreUnavailable, TooManyRequests: it stayed away. The leases run out by themselves.
    """
    give_up, pause = time.monotonic() + _PATIENCE, _FIRST_PAUSE
    while True:
        try:
            return await settle()
        except (StoreUnavailable, TooManyRequests):
            if time.monotonic() + pause > give_up:
                raise
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


async def hand_back(settle: Callable[[], Awaitable[object]]) -> None:
    """Settle for a job that was cancelled: to the end, but not for long."""
    await asyncio.shield(asyncio.ensure_future(_hand_back(settle)))


async def _hand_back(settle: Callable[[], Awaitable[object]]) -> None:
    try:
        async with asyncio.timeout(HAND_BACK_SECONDS):
            await settle()
    except (TimeoutError, BinderyError) as error:
        _log.warning("not_handed_back", error=type(error).__name__)
