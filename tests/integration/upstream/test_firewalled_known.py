"""A name that cannot be listed, and what is known of it by other means."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from service.domain.record import Channel, State
from service.usecases import chat_bindings
from service.usecases.comparing.notify import notify_differences
from service.usecases.ending import log_out
from service.usecases.moving.importing import import_bindings
from service.usecases.moving.switching import cut_over
from tests.integration.upstream.chat import There
from tests.integration.upstream.pair import Pair
from tests.integration.upstream.test_firewalled_lists import POISON
from tests.servers.fault_proxy import Fault, Kind

pytestmark = pytest.mark.usefixtures("quick_backoff")

UNLISTED = pytest.mark.parametrize(("status", "code"), [(403, None), (400, 20001)])


async def test_who_has_taken_over_its_address_is_not_held_up(pair: Pair) -> None:
    """The former owner is listed while the address is in doubt; what is wanted needs no such list."""
    await pair.bind(POISON, "token")
    await pair.converge()
    pair.proxy.refuse("DROP%20TABLE", status=403, code=None)
    pair.proxy.script("POST", Fault(Kind.RESET_REQUEST))
    await pair.bind("bob", "token")

    async def his() -> bool:
        return await pair.owners() == {"token": "bob"} and (await pair.record("token")).notify == State.APPLIED

    await pair.drain_until(his)
    await pair.converge()
    assert await pair.owners() == {"token": "bob"}


async def test_what_is_known_of_it_is_deleted_when_it_logs_out(pair: Pair) -> None:
    """By its SID, which names nobody; whether that was all is asked for until it can be told."""
    await pair.bind(POISON, "token", "phone")
    await pair.converge()
    pair.proxy.refuse("DROP%20TABLE", status=403, code=None)
    pair.proxy.script("DELETE", Fault(Kind.RESET_REQUEST))
    await log_out(pair.service, POISON)

    async def gone() -> bool:
        return await pair.owners() == {}

    await pair.drain_until(gone)
    assert await pair.depth()
    assert await pair.service.ledgers.dead_letters() == []
    pair.proxy.calm()
    await pair.converge()
    assert await pair.maybe("token") is None


@UNLISTED
async def test_what_has_settled_since_the_first_look_does_not_differ(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, status: int, code: int | None
) -> None:
    """What was owed then has been applied by the second, which goes by SIDs."""
    pair.proxy.refuse("Bindings?Identity=DROP", status=status, code=code)
    await pair.bind(POISON, "token")

    async def meanwhile(_: float) -> None:
        await pair.converge()

    monkeypatch.setattr("service.usecases.comparing.motion.asyncio", SimpleNamespace(sleep=meanwhile))
    found = [difference async for difference in notify_differences(pair.service, pair.upstream)]
    monkeypatch.setattr("service.usecases.comparing.motion.asyncio", asyncio)
    assert await pair.owners() == {"token": POISON}
    assert found == []


async def test_what_has_gone_there_does(pair: Pair) -> None:
    """Its SID leads to nothing."""
    await pair.bind(POISON, "token")
    await pair.converge()
    pair.proxy.refuse("Bindings?Identity=DROP", status=403, code=None)
    [binding] = await pair.bindings()
    await pair.delete_there(binding["sid"])
    [found] = [difference async for difference in notify_differences(pair.service, pair.upstream)]
    assert found.what.value == "missing there"


@UNLISTED
async def test_such_a_name_keeps_no_service_from_being_cut_over(
    both: Pair, there: There, status: int, code: int | None
) -> None:
    """What was imported of it has gone since; its SID can be asked for."""
    [gone] = await there.connect(POISON, "e-1")
    [stays] = await there.connect("alice", "e-2")
    upstream = both.service.chat_upstream
    assert upstream is not None
    await import_bindings(both.service, upstream)
    await upstream.bindings.delete(gone)
    both.proxy.refuse("DROP%20TABLE", status=status, code=code)
    await cut_over(both.service, Channel.CHAT, agreed=True)
    assert await chat_bindings.fetch(both.service, gone) is None
    assert await chat_bindings.fetch(both.service, stays) is not None
