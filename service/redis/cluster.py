"""A Redis or Valkey Cluster: one channel per primary, and a map of slots that learns from what goes wrong."""

from __future__ import annotations

import asyncio
import random
import time
from functools import partial
from typing import Final

from service.redis.call import Reply, pack
from service.redis.channel import Channel
from service.redis.client import Proof, Redis
from service.redis.dial import Dialer, explain
from service.redis.errors import NotSent, Refused, ReplyError, Rerouted, Unavailable
from service.redis.slots import SLOTS, key_slot, read_redirection, read_slots
from service.redis.url import TCP

#: The least time, in seconds, between two fetches of the map.
_REFRESH_GAP: Final = 0.1
_PING: Final = pack(("PING",))


class ClusterRedis(Redis):
    """A client of a cluster, found through any of its `seeds`."""

    def __init__(
        self, seeds: tuple[TCP, ...], connect: Dialer, probe: Dialer, timeout: float, replicas: int = 0
    ) -> None:
        super().__init__(timeout)
        self._replicas = replicas
        self._seeds = seeds
        self._connect = connect
        self._probe = probe
        self._channels: dict[TCP, Channel] = {}
        self._retired: list[Channel] = []
        self._slots: list[Channel | None] = [None] * SLOTS
        self._refreshing: asyncio.Task[None] | None = None
        self._refreshed_at = 0.0
        self._reason = "the cluster's map is not known yet"
        self._refusal: Refused | None = None
        self._closed = False

    async def ping(self) -> None:
        deadline = time.monotonic() + self.timeout
        await self.command("PING")
        # Not through command(): that would take a task for each primary.
        await asyncio.gather(*[channel.send(_PING, deadline) for channel in self._channels.values()])

    async def aclose(self) -> None:
        self._closed = True
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.wait([self._refreshing], timeout=1)
        for channel in [*self._channels.values(), *self._retired]:
            await channel.aclose()

    # -- routing

    def _send(self, packed: bytes, key: bytes | None, deadline: float) -> asyncio.Future[Reply]:
        channel = self._slots[key_slot(key)] if key is not None else self._any_primary()
        if channel is None:
            raise Rerouted(self._reason)
        return channel.send(packed, deadline, key)

    def _any_primary(self) -> Channel | None:
        if not self._channels:
            return None
        return random.choice(list(self._channels.values()))  # noqa: S311 - not a secret

    async def _send_after(
        self, proof: Proof, packed: bytes, key: bytes | None, deadline: float
    ) -> asyncio.Future[Reply]:
        if isinstance(proof, ReplyError) and proof.code in ("MOVED", "ASK"):
            # A server that names no host is behind one that all of them share, the seeds included.
            slot, address = read_redirection(proof, self._seeds[0])
            channel = self._channel(address)
            if proof.code == "ASK":
                return channel.send(packed, deadline, key, asking=True)
            self._slots[slot] = channel
            self._refresh()
            return channel.send(packed, deadline, key)
        if isinstance(proof, Rerouted):
            await self._wait_for_map(deadline)
        elif proof.code in ("CLUSTERDOWN", "READONLY", "MASTERDOWN"):
            self._refresh()
        return self._send(packed, key, deadline)

    def _channel(self, address: TCP) -> Channel:
        if self._closed:
            raise NotSent("the Redis client is closed")
        channel = self._channels.get(address)
        if channel is None:
            dial = partial(self._connect.open, address)
            channel = Channel(dial, patience=self.timeout, on_down=self._refresh, replicas=self._replicas)
            self._channels[address] = channel
        return channel

    # -- the map

    def _refresh(self) -> None:
        if not self._closed:
            self._start_fetch()

    def _start_fetch(self) -> asyncio.Task[None]:
        if self._refreshing is None or self._refreshing.done():
            loop = asyncio.get_running_loop()
            self._refreshing = loop.create_task(self._fetch_map(), name="redis-cluster-map")
        return self._refreshing

    async def _wait_for_map(self, deadline: float) -> None:
        """Waits for a fetch of the map. Raises NotSent if none succeeds in time, Refused at once."""
        if self._closed:
            raise NotSent("the Redis client is closed")
        left = deadline - time.monotonic()
        # wait(), unlike wait_for(), leaves the task to the others who wait for it.
        done, _ = await asyncio.wait([self._start_fetch()], timeout=max(0.0, left))
        if self._refusal is not None:
            raise Refused(str(self._refusal))
        if not done:
            raise NotSent(self._reason)

    async def _fetch_map(self) -> None:
        await asyncio.sleep(max(0.0, self._refreshed_at + _REFRESH_GAP - time.monotonic()))
        known = random.sample(list(self._channels), len(self._channels))
        try:
            for address in dict.fromkeys([*known, *self._seeds]):
                try:
                    link = await self._probe.open(address)
                    try:
                        reply = await self._probe.query(link, "CLUSTER", "SLOTS")
                    finally:
                        link.abort("the question was answered")
                    ranges = list(read_slots(reply, address))
                except (OSError, Unavailable, ReplyError) as error:
                    self._note(error)
                    continue
                if ranges:
                    self._adopt(ranges)
                    return
                self._reason = "the cluster serves no slots yet"
        finally:
            self._refreshed_at = time.monotonic()

    def _note(self, error: Exception) -> None:
        if isinstance(error, ReplyError) and error.code == "ERR":
            error = Refused(f"not a Redis Cluster: {error}")
        self._refusal = error if isinstance(error, Refused) else None
        self._reason = explain(error)

    def _adopt(self, ranges: list[tuple[range, TCP]]) -> None:
        slots: list[Channel | None] = [None] * SLOTS
        for served, address in ranges:
            slots[served.start : served.stop] = [self._channel(address)] * len(served)
        self._slots = slots
        self._reason, self._refusal = "no server of the cluster serves this slot", None
        primaries = {address for _, address in ranges}
        self._retired = [channel for channel in self._retired if not channel.idle]
        for address in set(self._channels) - primaries:
            channel = self._channels.pop(address)
            # What waits there for a connection moves to the slot's new primary.
            channel.retire()
            self._retired.append(channel)
