"""One primary at a time: at a fixed address, or wherever Sentinel says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from service.redis.call import Reply
from service.redis.channel import Channel
from service.redis.client import Proof, Redis
from service.redis.link import Link


class SingleRedis(Redis):
    """A client of the one server that `dial` connects to. One that turns out to be a replica is dialled anew."""

    def __init__(self, dial: Callable[[], Awaitable[Link]], timeout: float, replicas: int = 0) -> None:
        super().__init__(timeout)
        self._channel = Channel(dial, patience=timeout, replicas=replicas)

    async def ping(self) -> None:
        await self.command("PING")

    async def aclose(self) -> None:
        await self._channel.aclose()

    def _send(self, packed: bytes, key: bytes | None, deadline: float) -> asyncio.Future[Reply]:
        return self._channel.send(packed, deadline, key)

    async def _send_after(
        self, _proof: Proof, packed: bytes, key: bytes | None, deadline: float
    ) -> asyncio.Future[Reply]:
        return self._channel.send(packed, deadline, key)
