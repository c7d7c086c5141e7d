"""Routes read Chat bindings through to the upstream, and show nobody what he has lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.bootstrap import runtime
from service.domain.errors import BadPageToken, UpstreamSilent
from service.domain.sids import BindingSid, user_sid
from service.settings import load
from service.usecases import chat_bindings
from service.usecases.chat_bindings import Filter
from service.usecases.ending import log_out
from service.usecases.looking_up import look_up
from service.usecases.paging import Position
from tests.integration.upstream.chat import BOTH, There, settings_here
from tests.integration.upstream.pair import Pair
from tests.servers.fault_proxy import FaultProxy
from tests.servers.valkey import ValkeyServer
from workers.listing import list_owed

pytestmark = pytest.mark.usefixtures("quick_backoff")


async def test_the_routes_read_through_and_show_nobody_what_he_has_lost(chat: Pair, there: There) -> None:
    """Under the upstream's SIDs; a binding whose delete is yet to come there is shown no more."""
    sids = await there.connect("alice", "e-phone", "e-pc")
    await chat.bind("alice", "t-phone", "phone", channels=BOTH, endpoint="e-phone")
    await chat.converge()

    async def shown() -> set[str]:
        page = await chat_bindings.page(chat.service, Filter(identities=("alice",)), Position(), 50)
        return {binding.endpoint for binding in page.items}

    assert await shown() == {"e-phone", "e-pc"}
    [(_, [view])] = await look_up(chat.service, ["alice"])
    assert view.bindings.chat is None
    assert BindingSid.parse(sids[0])
    await log_out(chat.service, "alice", device_id="phone")
    assert await there.endpoints() == {("alice", "e-phone"), ("alice", "e-pc")}
    assert await shown() == {"e-pc"}
    assert await chat_bindings.fetch(chat.service, sids[0]) is None
    assert await chat_bindings.fetch(chat.service, "BS" + "0" * 32) is None
    assert await chat_bindings.delete(chat.service, sids[1])
    assert await there.endpoints() == {("alice", "e-phone")}
    await chat.proxy.down()
    with pytest.raises(UpstreamSilent):
        await shown()


@pytest.mark.parametrize("sid", ["?", "x y", "../../../Services", "BS1", "alices-token"])
async def test_what_is_no_sid_is_not_asked_for(chat: Pair, sid: str) -> None:
    """It would be another path of the upstream's, asked for in our name."""
    assert await chat_bindings.fetch(chat.service, sid) is None
    assert not await chat_bindings.delete(chat.service, sid)
    assert chat.proxy.seen == []


async def test_a_list_of_everything_is_the_upstreams_without_what_was_lost(chat: Pair, there: There) -> None:
    """Page by page in its order, each binding once; never what was logged out, or is somebody else's by now."""
    await there.connect("alice", "e-phone", "e-pc", "e-tablet")
    await there.connect("bob", "e-watch")
    await chat.bind("alice", "t-phone", "phone", channels=BOTH, endpoint="e-phone")
    await chat.converge()
    await log_out(chat.service, "alice", device_id="phone")
    await chat.bind("bob", "t-tablet", "tablet", channels=BOTH, endpoint="e-tablet")
    start, found, pages = Position(), list[tuple[str, str]](), 0
    while True:
        page = await chat_bindings.page(chat.service, Filter(), start, 1)
        found += [(binding.identity, binding.endpoint) for binding in page.items]
        pages += 1
        assert page.previous is None
        if page.next is None:
            break
        start = page.next
    assert sorted(found) == [("alice", "e-pc"), ("bob", "e-watch")]
    assert pages == 4
    none = await chat_bindings.page(chat.service, Filter(binding_types=("apn",)), Position(), 50)
    assert (none.items, none.next) == ([], None)
    for made_here in b"f" * 12, b"?" + b"\xff" * 11:
        with pytest.raises(BadPageToken):
            await chat_bindings.page(chat.service, Filter(), Position(made_here), 50)


async def test_a_logout_of_the_identity_reaches_what_was_never_registered(chat: Pair, there: There) -> None:
    """It is shown no more, at once, and workers delete it; nobody else's goes with it."""
    sids = await there.connect("alice", "e-pc", "e-tablet")
    await there.connect("bob", "e-watch")
    await log_out(chat.service, "alice")
    for identities in (("alice",), ()):
        page = await chat_bindings.page(chat.service, Filter(identities=identities), Position(), 50)
        assert "alice" not in {binding.identity for binding in page.items}
    assert await chat_bindings.fetch(chat.service, sids[0]) is None
    assert await list_owed(chat.service) == 1
    assert await there.endpoints() == {("bob", "e-watch")}


async def test_routes_ask_however_long_a_request_may_take(
    valkey: ValkeyServer, proxy: FaultProxy, upstream_url: str, api: str, there: There
) -> None:
    """By default as long as a client waits: what only reads begins all the same, and is cut short if need be."""
    valkey.call("FLUSHALL")
    times = {"BINDERY_UPSTREAM_TIMEOUT": "10", "BINDERY_UPSTREAM_LONGEST_REQUEST": "60"}
    phone, pc = await there.connect("alice", "e-phone", "e-pc")
    async with runtime(load({**settings_here(valkey, proxy, api), **times})) as running:
        service = Pair(running, proxy, upstream_url).service
        found = await chat_bindings.fetch(service, phone)
        assert found is not None
        for wanted in Filter(), Filter(identities=("alice",)):
            page = await chat_bindings.page(service, wanted, Position(), 50)
            assert {binding.sid for binding in page.items} == {phone, pc}
        assert await chat_bindings.delete(service, pc)
        assert await there.endpoints() == {("alice", "e-phone")}


async def test_a_users_list_reads_through(chat: Pair, there: There) -> None:
    """By identity; by User SID of those who are known here."""
    await there.connect("alice", "e-phone", "e-pc")

    async def of_user(user: str) -> set[str] | None:
        page = await chat_bindings.page_of_user(chat.service, user, (), Position(), 50)
        return {binding.endpoint for binding in page.items} if page else None

    assert await of_user("alice") == {"e-phone", "e-pc"}
    sid = user_sid(chat.service.fingerprints.owner("alice"))
    assert await of_user(sid) is None
    await chat.bind("alice", "t-phone", "phone")
    assert await of_user(sid) == {"e-phone", "e-pc"}


@pytest.mark.parametrize("whole", [False, True], ids=["of an identity", "of the Service"])
async def test_a_removal_that_is_confirmed_while_a_route_lists_is_shown_to_nobody(
    chat: Pair, there: There, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    """The list is from before the delete, and what is noted here from after it."""
    await there.connect("alice", "e-phone", "e-pc")
    await chat.bind("alice", "t-phone", "phone", channels=BOTH, endpoint="e-phone")
    await chat.converge()
    await log_out(chat.service, "alice", device_id="phone")
    upstream = chat.service.chat_upstream
    assert upstream is not None
    listing, method = upstream.bindings, "page" if whole else "of"
    list_now, confirmed = getattr(listing, method), asyncio.Event()

    async def then_confirmed(*args: Any) -> Any:
        found = await list_now(*args)
        if not confirmed.is_set():
            confirmed.set()
            await chat.converge()
        return found

    monkeypatch.setattr(listing, method, then_confirmed)
    wanted = Filter() if whole else Filter(identities=("alice",))
    page = await chat_bindings.page(chat.service, wanted, Position(), 50)
    assert confirmed.is_set()
    assert [binding.endpoint for binding in page.items] == ["e-pc"]
