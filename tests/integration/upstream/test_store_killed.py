"""The store is killed while a call to the upstream is under way, and comes back with what it has answered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.bootstrap import runtime
from service.domain.errors import StoreUnavailable
from service.settings import load
from tests.integration.upstream.pair import Pair, environment
from tests.integration.workers.worker_process import WorkerProcess
from tests.servers.fault_proxy import Fault, FaultProxy, Kind
from tests.servers.valkey import ValkeyServer
from tests.waiting import eventually

TOKEN = "fcm-token-of-a-device"


@pytest.fixture
def own() -> Iterator[ValkeyServer]:
    """A store here that loses nothing answered."""
    with ValkeyServer(appendfsync="always") as server:
        yield server


@pytest.mark.slow
async def test_a_create_under_way_while_the_store_is_killed_does_not_win(
    own: ValkeyServer, proxy: FaultProxy, upstream_url: str, tmp_path: Path
) -> None:
    """It lands after that of a takeover, which the store has accepted once it was up again: the takeover counts."""
    # Time enough to kill, start and take over while the call may yet land.
    times = {"BINDERY_UPSTREAM_TIMEOUT": "3", "BINDERY_UPSTREAM_LONGEST_REQUEST": "10"}
    environ = environment(own.url, proxy.url, **times)
    async with runtime(load(environ)) as running:
        pair = Pair(running, proxy, upstream_url)
        proxy.script("POST", Fault(Kind.LATE))
        with WorkerProcess({**environ, "BINDERY_LOG_FORMAT": "json"}, tmp_path / "worker") as worker:
            await pair.bind("alice", TOKEN, "phone")
            await proxy.met(Kind.LATE)
            own.kill()
            own.start()

            async def taken() -> bool:
                try:
                    await pair.bind("bob", TOKEN, "phone")
                except StoreUnavailable:
                    return False
                return True

            async def made() -> bool:
                return pair.posts() == 2

            await eventually(taken)
            await eventually(made, 30)
            await proxy.release()
            assert await pair.owners() == {TOKEN: "alice"}

            async def bobs() -> bool:
                return await pair.owners() == {TOKEN: "bob"}

            async def nothing_owed() -> bool:
                return not await pair.depth()

            await eventually(bobs, 60)
            await eventually(nothing_owed, 60)
            assert await bobs()
            assert len(await pair.bindings()) == 1
            assert (await pair.record(TOKEN)).attributes.identity == "bob"
            assert await pair.applied([TOKEN])
            assert worker.running
