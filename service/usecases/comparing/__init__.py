"""Comparing a Service with its upstreams, both ways."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from service.domain.record import ALL_CHANNELS, Channel
from service.usecases.comparing.chat import chat_differences
from service.usecases.comparing.difference import Difference, What
from service.usecases.comparing.notify import notify_differences
from service.usecases.service import Service

__all__ = ["Difference", "What", "differences", "settled"]

_LOOK_SECONDS = 0.2


async def settled(service: Service, seconds: float) -> int:
    """Wait until nothing is owed; answers how many entries still are after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        state = await service.ledgers.sweep()
        service.wake(state.wake)
        if not state.depth or time.monotonic() > end:
            return state.depth
        await asyncio.sleep(_LOOK_SECONDS)


async def differences(service: Service, channels: Channel = ALL_CHANNELS) -> AsyncIterator[Difference]:
    """Those of its upstreams, in these channels.

    Raises:
        UpstreamError, StoreUnavailable, TooManyRequests
    """
    if Channel.NOTIFY in channels and service.notify_upstream is not None:
        async for difference in notify_differences(service, service.notify_upstream):
            yield difference
    if Channel.CHAT in channels and service.chat_upstream is not None:
        async for difference in chat_differences(service, service.chat_upstream):
            yield difference
