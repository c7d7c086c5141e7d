"""What the upstream has, and was never registered here, is shown after one look there; never what was logged out."""

from __future__ import annotations

import asyncio

import pytest

from service.bootstrap import runtime
from service.settings import load
from service.usecases import notify_bindings
from service.usecases.ending import log_out
from service.usecases.looking_up import look_up
from service.usecases.notify_bindings import Filter
from service.usecases.paging import Position
from service.usecases.upstream import adopting, cold_reading
from tests.integration.upstream.pair import Pair, patient
from tests.servers.fault_proxy import Fault, FaultProxy, Kind
from tests.servers.valkey import ValkeyServer
from tests.waiting import eventually
from workers.listing import list_owed

TOKEN, OTHER = "fcm-token-of-a-device", "fcm-token-of-another"


@pytest.fixture
def pair(patient_pair: Pair) -> Pair:
    """Both; answers may be held for as long as a test needs."""
    return patient_pair


async def addresses(pair: Pair, identity: str = "alice") -> set[str]:
    """What a lookup shows of an identity."""
    [(_, views)] = await look_up(pair.service, [identity])
    return {view.address for view in views}


async def forget(pair: Pair) -> None:
    """As if all that was asked for no longer counted."""
    anchor = pair.service.section.anchor
    asked = [pair.service.fingerprints.owner(identity) for identity in ("alice", "bob")]
    await pair.running.store.command("DEL", *(anchor + b":mo" + owner for owner in asked), key=anchor)


async def test_a_lookup_shows_what_was_made_past_us(pair: Pair) -> None:
    """Beside what was registered here, after one look there, in the lists of both kinds, under its own SID."""
    sid = await pair.create_there("alice", OTHER, Tag="theirs")
    await pair.bind("alice", TOKEN, "phone")
    assert await addresses(pair) == {TOKEN, OTHER}
    page = await notify_bindings.page(pair.service, Filter(identities=("alice",)), Position(), 50)
    assert [(binding.sid, binding.tags) for binding in page.items] == [(sid, ("theirs",))]
    assert pair.lists() == 1
    await pair.converge()
    assert await pair.owners() == {TOKEN: "alice", OTHER: "alice"}
    assert pair.posts() == 1


async def test_many_lookups_are_one_list(pair: Pair, valkey: ValkeyServer, proxy: FaultProxy) -> None:
    """Of all who ask at the same time, in this process and another; of many identities it names forty."""
    await pair.create_there("alice", OTHER)
    everyone = ["alice", *(f"user-{n}" for n in range(39))]
    pair.proxy.script("GET", Fault(Kind.HELD))
    async with runtime(load(patient(valkey.url, proxy.url))) as running:
        second = Pair(running, pair.proxy, pair.there)
        asking = [asyncio.create_task(look_up(pair.service, everyone)) for _ in range(5)]
        await pair.proxy.met(Kind.HELD)
        asking += [asyncio.create_task(look_up(second.service, ["alice"])) for _ in range(5)]
        await asyncio.sleep(0)
        await pair.proxy.release()
        for found in await asyncio.gather(*asking):
            assert [view.address for view in found[0][1]] == [OTHER]
    assert pair.lists() == 1


async def test_an_answer_counts_for_some_time(pair: Pair) -> None:
    """That there is nothing, too; then it is asked for again."""
    assert await addresses(pair) == set()
    await pair.create_there("alice", OTHER)
    assert await addresses(pair) == set()
    assert pair.lists() == 1
    owner, anchor = pair.service.fingerprints.owner("alice"), pair.service.section.anchor
    assert 0 < int(str(await pair.running.store.command("PTTL", anchor + b":mo" + owner, key=anchor))) <= 30_000
    await forget(pair)
    assert await addresses(pair) == {OTHER}
    assert 30_000 < int(str(await pair.running.store.command("PTTL", anchor + b":mo" + owner, key=anchor))) <= 300_000


async def test_nobody_waits_for_long(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lookup answers what is known; the list goes on, and its bindings are shown once it has come."""
    monkeypatch.setattr(cold_reading, "PATIENCE", 0.05)
    await pair.create_there("alice", OTHER)
    await pair.bind("alice", TOKEN, "phone")
    pair.proxy.script("GET", Fault(Kind.HELD))
    assert await addresses(pair) == {TOKEN}
    # Whoever comes later does not begin to wait anew.
    monkeypatch.setattr(cold_reading, "PATIENCE", 30)
    async with asyncio.timeout(10):
        assert await addresses(pair) == {TOKEN}
    await pair.proxy.met(Kind.HELD)
    await pair.proxy.release()

    async def shown() -> bool:
        return await addresses(pair) == {TOKEN, OTHER}

    await eventually(shown)
    assert pair.lists() == 1


@pytest.fixture
def time_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is too young for a list to show it."""
    monkeypatch.setattr(adopting, "YOUNG_MS", -2_000)


@pytest.mark.usefixtures("time_has_passed")
async def test_what_has_gone_there_is_gone_here_with_the_next_list(pair: Pair) -> None:
    """Registered here or adopted: asked for by its SID as well, it is taken for dead as an audit would."""
    first = await pair.create_there("alice", OTHER)
    await pair.bind("alice", TOKEN, "phone")
    await pair.converge()
    assert await addresses(pair) == {TOKEN, OTHER}
    [second] = [binding["sid"] for binding in await pair.bindings() if binding["address"] == TOKEN]
    await pair.delete_there(first)
    await pair.delete_there(second)
    await forget(pair)
    assert await addresses(pair) == set()
    assert await pair.depth() == 0


async def test_what_has_just_come_there_may_be_missing_from_a_list(pair: Pair) -> None:
    """A registration is not taken for dead on the word of a list that lags behind."""
    await pair.bind("alice", TOKEN, "phone")
    await pair.converge()
    [binding] = await pair.bindings()
    await pair.delete_there(binding["sid"])
    assert await addresses(pair) == {TOKEN}


@pytest.mark.usefixtures("time_has_passed")
async def test_a_takeover_past_us_counts_once_the_former_owners_binding_is_seen_to_be_gone(pair: Pair) -> None:
    """Whoever is listed first: in the end the new owner has it, and his binding there is left alone."""
    await pair.bind("alice", TOKEN, "phone")
    await pair.converge()
    await pair.create_there("bob", TOKEN)
    assert await addresses(pair, "bob") == set()
    assert await addresses(pair, "alice") == set()
    await forget(pair)
    assert await addresses(pair, "bob") == {TOKEN}
    await pair.converge()
    assert await pair.owners() == {TOKEN: "bob"}
    assert pair.posts() == 1


async def test_what_fails_is_left_to_the_workers(pair: Pair) -> None:
    """Lookups do not wait for it again."""
    await pair.create_there("alice", OTHER)
    pair.proxy.script("GET", Fault(Kind.REFUSAL, status=500))
    assert await addresses(pair) == set()
    assert await addresses(pair) == set()
    assert pair.lists() == 1
    assert await list_owed(pair.service) == 1
    assert await addresses(pair) == {OTHER}
    assert (pair.lists(), await list_owed(pair.service)) == (2, 0)


async def test_an_identity_that_the_upstream_refuses_holds_up_no_other(pair: Pair) -> None:
    """Of those that were asked for together each is then asked for by itself."""
    await pair.create_there("alice", OTHER)
    pair.proxy.refuse("Identity=bad", status=400, code=20001)
    found = await look_up(pair.service, ["bad", "alice"])
    assert [[view.address for view in views] for _, views in found] == [[], [OTHER]]
    assert (pair.lists(), await list_owed(pair.service)) == (3, 0)


async def test_an_upstream_that_is_left_alone_is_not_asked(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """While its breaker is open, nor waited for; workers make up for it."""
    monkeypatch.setattr(cold_reading, "PATIENCE", 30)
    await pair.create_there("alice", OTHER)
    admission = pair.upstream.account.admission
    for _ in range(10):
        await admission.done(False, good=False)
    async with asyncio.timeout(10):
        assert await addresses(pair) == set()
    assert (await list_owed(pair.service), pair.lists()) == (0, 0)
    await pair.running.store.command("DEL", admission.key, key=admission.key)
    assert await list_owed(pair.service) == 1
    assert await addresses(pair) == {OTHER}


async def test_a_logout_covers_what_was_being_listed(pair: Pair) -> None:
    """Row 22: the list was under way, the identity logged out: it shows nothing, and the binding there is deleted."""
    await pair.create_there("alice", OTHER)
    pair.proxy.script("GET", Fault(Kind.HELD))
    asking = asyncio.create_task(addresses(pair))
    await pair.proxy.met(Kind.HELD)
    await log_out(pair.service, "alice")
    await pair.proxy.release()
    assert await asking == set()
    assert await addresses(pair) == set()
    await pair.converge()
    assert await pair.owners() == {}


async def test_a_takeover_covers_what_was_being_listed(pair: Pair) -> None:
    """Row 21: meanwhile another took the address, was applied, and logged out of that device, all confirmed."""
    await pair.create_there("alice", OTHER)
    pair.proxy.script("GET", Fault(Kind.HELD))
    asking = asyncio.create_task(addresses(pair))
    await pair.proxy.met(Kind.HELD)
    await pair.bind("bob", OTHER, "phone")
    await pair.converge()
    await log_out(pair.service, "bob", device_id="phone")
    await pair.converge()
    assert await pair.maybe(OTHER) is None
    await pair.proxy.release()
    assert await asking == set()
    await forget(pair)
    assert await addresses(pair) == set()
    await pair.converge()
    assert await pair.owners() == {}


async def test_a_logout_reaches_what_nobody_has_ever_asked_for(pair: Pair) -> None:
    """Of the identity, or of the address; another's bindings stay."""
    await pair.create_there("alice", TOKEN)
    await pair.create_there("bob", OTHER)
    await pair.create_there("bob", "third-token")
    await log_out(pair.service, "alice")
    await log_out(pair.service, "bob", address=OTHER)
    assert await list_owed(pair.service) == 2
    await pair.converge()
    assert await pair.owners() == {"third-token": "bob"}
    assert await addresses(pair, "bob") == {"third-token"}


async def test_lookups_may_be_told_not_to_ask(valkey: ValkeyServer, proxy: FaultProxy, upstream_url: str) -> None:
    """By setting: after an import there is nothing to find."""
    valkey.call("FLUSHALL")
    async with runtime(load(patient(valkey.url, proxy.url, BINDERY_UPSTREAM_LISTED_TTL="0"))) as running:
        pair = Pair(running, proxy, upstream_url)
        await pair.create_there("alice", OTHER)
        assert await addresses(pair) == set()
        assert (pair.lists(), pair.service.cold) == (0, None)
