"""An upstream's lists that have no end, or show a binding twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from service.backends.twilio import OutcomeUnknown
from service.bootstrap import runtime
from service.domain.record import Channel
from service.settings import load
from service.usecases.comparing import differences
from service.usecases.moving.importing import import_bindings
from service.usecases.moving.switching import cut_over, undo
from service.usecases.service import Service
from tests.integration.upstream.foreign import Foreign
from tests.integration.upstream.pair import environment
from tests.servers.valkey import ValkeyServer


async def _diff(service: Service, channel: Channel) -> None:
    async for _ in differences(service, channel):
        pass


async def _import(service: Service, channel: Channel) -> None:
    upstream = service.notify_upstream if channel is Channel.NOTIFY else service.chat_upstream
    assert upstream is not None
    await import_bindings(service, upstream)


async def _list(service: Service, channel: Channel) -> None:
    upstream = service.notify_upstream if channel is Channel.NOTIFY else service.chat_upstream
    assert upstream is not None
    await upstream.bindings.of(["alice"])


async def _cut_over(service: Service, channel: Channel) -> None:
    await cut_over(service, channel, agreed=True)


async def _undo(service: Service, channel: Channel) -> None:
    await service.switches.over(channel, agreed=True, late=0)
    await undo(service, channel)


@pytest.mark.parametrize("after", ["Page=1", "Page=2"], ids=["to itself", "in a ring"])
@pytest.mark.parametrize(
    ("walk", "channel"),
    [
        (_list, Channel.NOTIFY),
        (_list, Channel.CHAT),
        (_import, Channel.NOTIFY),
        (_import, Channel.CHAT),
        (_diff, Channel.NOTIFY),
        (_diff, Channel.CHAT),
        (_cut_over, Channel.CHAT),
        (_undo, Channel.NOTIFY),
        (_undo, Channel.CHAT),
    ],
)
async def test_a_list_that_leads_back_has_an_end(
    valkey: ValkeyServer,
    foreign: Foreign,
    walk: Callable[[Service, Channel], Awaitable[None]],
    channel: Channel,
    after: str,
) -> None:
    """It is an error after a page or two; nobody goes round for ever."""
    foreign.next = {"": "Page=1", "1": after, "2": "Page=1"}
    foreign.put_notify("alice", "token")
    foreign.put_chat("alice", "e-phone")
    valkey.call("FLUSHALL")
    async with runtime(load(environment(valkey.url, foreign.url, BINDERY_CHAT_UPSTREAM_URL=foreign.url))) as running:

        async def bounded() -> None:
            async with asyncio.timeout(10):
                await walk(running.directory.default(), channel)

        with pytest.raises(OutcomeUnknown, match="does not end"):
            await bounded()
    assert foreign.lists <= 3


async def test_what_two_pages_show_is_one_binding(valkey: ValkeyServer, foreign: Foreign) -> None:
    """Pages shift while they are walked: what is made meanwhile moves the others on."""
    foreign.next = {"": "Page=1"}
    sid = foreign.put_notify("alice", "token")
    valkey.call("FLUSHALL")
    async with runtime(load(environment(valkey.url, foreign.url))) as running:
        upstream = running.directory.default().notify_upstream
        assert upstream is not None
        found, _ = await upstream.bindings.of_each(["alice"])
    assert [binding.sid for binding in found] == [sid]
