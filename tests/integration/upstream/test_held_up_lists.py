"""What keeps the Notify bindings of a list from being adopted keeps nobody from reconciling Chat."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from service.backends.twilio import UpstreamError
from service.domain.errors import StoreFull
from service.usecases.ending import log_out
from service.usecases.upstream.walking import walk_step
from tests.integration.upstream.chat import There
from tests.integration.upstream.pair import Pair
from tests.integration.upstream.test_walking import due
from tests.servers.valkey import ValkeyServer
from workers.listing import list_owed


@asynccontextmanager
async def full(valkey: ValkeyServer) -> AsyncIterator[None]:
    """The store has no memory left."""
    valkey.call("CONFIG", "SET", "maxmemory", "1")
    try:
        yield
    finally:
        valkey.call("CONFIG", "SET", "maxmemory", "0")


async def test_a_page_that_finds_no_room_is_not_asked_for_again_at_once(pair: Pair, valkey: ValkeyServer) -> None:
    """The walk comes back to the same page a minute later."""
    await pair.create_there("alice", "token")
    async with full(valkey):
        await due(pair, b":walk:turn")
        with pytest.raises(StoreFull):
            await walk_step(pair.service, pair.upstream)
        anchor = pair.service.section.anchor
        left: Any = await pair.running.store.command("PTTL", anchor + b":walk:turn", key=anchor)
        assert left > 30_000
    await due(pair, b":walk:turn")
    assert await walk_step(pair.service, pair.upstream) == 1


async def test_a_full_store_keeps_no_logout_from_chat(both: Pair, there: There, valkey: ValkeyServer) -> None:
    """What was never registered here is deleted there, though nothing can be adopted."""
    await there.connect("alice", "endpoint")
    await both.create_there("bob", "token")
    await log_out(both.service, "alice")
    await both.service.listings.owe([both.service.listings.of("bob")], failed=True)  # type: ignore[union-attr]
    async with full(valkey):
        with pytest.raises(StoreFull):
            await list_owed(both.service)
        assert await there.endpoints() == set()
    assert await list_owed(both.service) == 0


async def test_one_upstream_holds_up_no_other(both: Pair, there: There) -> None:
    """Notify fails, as it may for days; it is Notify's bindings that stay owed a list."""
    await there.connect("alice", "endpoint")
    await log_out(both.service, "alice")
    both.proxy.refuse("/v1/", status=500)
    with pytest.raises(UpstreamError):
        await list_owed(both.service)
    assert await there.endpoints() == set()
