"""Everything is replaced while registrations come at a steady rate: none fails, none is lost, none waits for long."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis.asyncio
import uvloop

from service.domain.fingerprints import Fingerprints, derive_key
from tests.faults.client import Connection, Lost
from tests.faults.deployment import listening
from tests.faults.fleet import Fleet, running
from tests.faults.running import SERVICE, SETTINGS, app_headers, until
from tests.faults.test_volume import check_all, identity_of
from tests.servers.valkey import ValkeyServer

pytestmark = pytest.mark.slow

CONNECTIONS = 32


class Steady:
    """New devices at a steady rate, and what became of them. Times are on the clock of time.perf_counter."""

    def __init__(self, connect: Callable[[], Connection], rate: float) -> None:
        self._rate, self._connect = rate, connect
        self._prints = Fingerprints(derive_key(SETTINGS["BINDERY_SECRET_KEY"], "fingerprints"), SERVICE)
        self._ending = False
        self.sent = 0
        self.failed: Counter[str] = Counter()
        self.answered: dict[bytes, float] = {}
        self.applied: dict[bytes, float] = {}

    @asynccontextmanager
    async def load(self) -> AsyncIterator[None]:
        """Send while the context lasts."""
        began = time.perf_counter()
        clients = [asyncio.create_task(self._client(self._connect(), began)) for _ in range(CONNECTIONS)]
        try:
            yield
        finally:
            self._ending = True
            await asyncio.gather(*clients)

    async def _client(self, connection: Connection, began: float) -> None:
        while not self._ending:
            number, self.sent = self.sent, self.sent + 1
            await asyncio.sleep(max(0.0, began + number / self._rate - time.perf_counter()))
            headers = app_headers(identity_of(number), f"session-{number}", int(time.time()))
            wanted = {"binding_type": "apn", "address": f"{number:064x}", "device_id": f"device-{number}"}
            try:
                answer = await connection.request("POST", "/v1/registrations", headers, msgspec.json.encode(wanted))
            except Lost as lost:
                self.failed[str(lost)] += 1
                continue
            if answer.status == 202:
                self.answered[self._prints.address(f"{number:064x}")] = time.perf_counter()
            else:
                self.failed[str(answer)] += 1
        await connection.aclose()

    @asynccontextmanager
    async def watching(self, valkey: ValkeyServer) -> AsyncIterator[None]:
        """See, by the Service's events, when each device is applied."""
        client: Any = redis.asyncio.Redis(unix_socket_path=str(valkey.socket))
        task = asyncio.create_task(self._watch(client))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await client.aclose()

    async def _watch(self, client: Any) -> None:
        last = b"0-0"
        while True:
            for _, entries in await client.xread({f"{{{SERVICE}}}:e": last}, count=1000, block=100):
                now = time.perf_counter()
                for _, fields in entries:
                    if fields[b"t"] == b"applied":
                        self.applied.setdefault(fields[b"f"], now)
                last = entries[-1][0]

    def delays(self) -> list[float]:
        """Seconds from answer to application, in order."""
        return sorted(self.applied[device] - at for device, at in self.answered.items())


async def replace_everything(fleet: Fleet, rest: float) -> None:
    """The API, then the workers, each twice."""
    for replace in (fleet.replace_api, fleet.replace_api, fleet.replace_worker, fleet.replace_worker):
        await asyncio.sleep(rest)
        await replace()
    await asyncio.sleep(rest)


async def roll(directory: Path, *, shared: bool, rate: float, rest: float) -> list[float]:
    """Replace everything under load; answers the delays from answer to application."""
    with ExitStack() as stack:
        valkey = stack.enter_context(ValkeyServer(appendfsync="always"))
        listener = stack.enter_context(listening()) if shared else None
        own = {name: value for name, value in os.environ.items() if not name.startswith("BINDERY_")}
        environ = {**own, **SETTINGS, "BINDERY_REDIS_URL": valkey.url, "BINDERY_SHUTDOWN_DELAY": "0" if shared else "2"}
        async with running(directory, environ, listener) as fleet:
            steady = Steady(fleet.connection, rate)
            async with steady.watching(valkey):
                async with steady.load():
                    await replace_everything(fleet, rest)
                assert not steady.failed
                assert len(steady.answered) == steady.sent
                await until(lambda: len(steady.applied) == steady.sent, "all are applied")
            connection = fleet.connection()
            await check_all(connection, range(steady.sent))
            await connection.aclose()
            delays = steady.delays()
    parts = [f"{name} {1000 * delays[int(part * (len(delays) - 1))]:.1f} ms" for name, part in _PARTS]
    print(f"\n{len(delays)} devices, none failed, none lost; answered to applied: {', '.join(parts)}")  # noqa: T201
    return delays


_PARTS = (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
SHAPES = pytest.mark.parametrize("shared", [True, False], ids=["one socket handed on", "a port each"])


@SHAPES
def test_a_rolling_restart_fails_no_request(tmp_path: Path, shared: bool) -> None:
    """On kept-alive connections: each is let go with an answer."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(roll(tmp_path, shared=shared, rate=150, rest=0.5))


@pytest.mark.proof
@SHAPES
def test_a_rolling_restart_at_500_a_second_delays_nothing(tmp_path: Path, shared: bool) -> None:
    """99 of 100 are applied within a second of their answer, whatever was being replaced."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        delays = runner.run(roll(tmp_path, shared=shared, rate=500, rest=5))
    assert delays[int(0.99 * (len(delays) - 1))] < 1
