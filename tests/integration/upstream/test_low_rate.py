"""An account that may make less than a request in two seconds: what takes two of them gets both."""

from __future__ import annotations

import pytest

from service.bootstrap import runtime
from service.settings import load
from service.usecases.ending import log_out
from tests.integration.upstream.chat import BOTH, There, settings_here
from tests.integration.upstream.pair import Pair, environment
from tests.servers.fault_proxy import Fault, FaultProxy, Kind
from tests.servers.valkey import ValkeyServer
from tests.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_backoff")]

SLOW = {"BINDERY_UPSTREAM_RATE": "0.4", "BINDERY_UPSTREAM_TIMEOUT": "1", "BINDERY_UPSTREAM_LONGEST_REQUEST": "1"}
SECONDS = 40


async def test_what_is_in_doubt_is_settled(valkey: ValkeyServer, proxy: FaultProxy, upstream_url: str) -> None:
    """It takes a list and a create."""
    valkey.call("FLUSHALL")
    async with runtime(load({**environment(valkey.url, proxy.url), **SLOW})) as running:
        pair = Pair(running, proxy, upstream_url)
        proxy.script("POST", Fault(Kind.RESET_REQUEST))
        await pair.bind("alice", "token", "phone")

        async def created() -> bool:
            await pair.drain_notify()
            return pair.posts() == 1

        await eventually(created, SECONDS)
        assert await pair.owners() == {"token": "alice"}


async def test_a_chat_logout_reaches_the_upstream(
    valkey: ValkeyServer, proxy: FaultProxy, upstream_url: str, there: There
) -> None:
    """It takes a list and a delete."""
    valkey.call("FLUSHALL")
    await there.connect("alice", "e-phone")
    async with runtime(load({**settings_here(valkey, proxy, "chat"), **SLOW})) as running:
        pair = Pair(running, proxy, upstream_url)
        await pair.bind("alice", "t-phone", "phone", channels=BOTH, endpoint="e-phone")
        await log_out(pair.service, "alice", device_id="phone")

        async def deleted() -> bool:
            await pair.drain_all()
            return len(proxy.reached("DELETE")) == 1

        await eventually(deleted, SECONDS)
        assert await there.endpoints() == set()
