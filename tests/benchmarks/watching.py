"""Sees registrations become applied, by the Service's event stream, and how deep the ledger is meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis

from tests.benchmarks.site import Site

_BATCH = 5000
_GLANCE = 0.1


class Watch:
    """When each registration was seen applied, by fingerprint, on the clock of time.perf_counter; and the depths."""

    def __init__(self) -> None:
        self.applied: dict[bytes, float] = {}
        self.depths: list[tuple[float, int]] = []


@asynccontextmanager
async def watching(site: Site) -> AsyncIterator[Watch]:
    """Watch while the context lasts. Faults of the watch come out at its end."""
    watch = Watch()
    # A connection of its own: it blocks.
    client: Any = Redis(unix_socket_path=str(site.valkey.socket))
    key = site.service.section.anchor + b":e"
    last = await client.xinfo_stream(key) if await client.exists(key) else {"last-generated-id": b"0-0"}
    tasks = [
        asyncio.create_task(_events(client, key, last["last-generated-id"], watch)),
        asyncio.create_task(_depths(site, watch)),
    ]
    try:
        yield watch
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await client.aclose()


async def _events(client: Any, key: bytes, last: bytes, watch: Watch) -> None:
    while True:
        found = await client.xread({key: last}, count=_BATCH, block=1000)
        now = time.perf_counter()
        for _, entries in found:
            for _, fields in entries:
                if fields[b"t"] == b"applied":
                    watch.applied.setdefault(fields[b"f"], now)
            last = entries[-1][0]


async def _depths(site: Site, watch: Watch) -> None:
    started = time.perf_counter()
    while True:
        watch.depths.append((time.perf_counter() - started, await site.depth()))
        await asyncio.sleep(_GLANCE)
