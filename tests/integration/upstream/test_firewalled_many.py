"""Many names that a firewall refuses: they cost little, and look like no outage."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from service.backends.twilio import UpstreamError
from service.domain.jobs import LANES
from service.domain.record import Channel
from service.usecases.ending import log_out
from tests.integration.upstream.pair import Pair
from tests.integration.upstream.test_firewalled_lists import POISON, leases_are_over, well
from tests.servers.fault_proxy import Fault, Kind
from workers.listing import list_owed


@pytest.fixture
def firewalled(both: Pair) -> Pair:
    """A firewall between the two, that takes offence at names of a kind."""
    both.proxy.refuse("DROP%20TABLE", status=403, code=None)
    return both


async def test_they_do_not_take_all_the_time_of_a_list(firewalled: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is not of them is reached, though there is time for some of them alone: a tenth of it, and of a request's."""
    monkeypatch.setattr("service.usecases.upstream.adopting.CLAIM_MS", 1500)
    monkeypatch.setattr("workers.listing.CLAIM_MS", 1500)
    firewalled.proxy.chance(1, 1.0, [Fault(Kind.DELAY, seconds=0.03)])
    await firewalled.create_there("bob", "t-bob")
    for n in range(20):
        await log_out(firewalled.service, f"{POISON} {n:02}")
        await log_out(firewalled.service, "bob" if n == 10 else f"user-{n:02}")
    for _ in range(10):
        with contextlib.suppress(UpstreamError):  # the time was over
            await list_owed(firewalled.service)
        await firewalled.drain_all()
        if not await firewalled.owners():
            break
        await leases_are_over(firewalled)
    assert await firewalled.owners() == {}


async def test_several_look_like_no_outage(firewalled: Pair) -> None:
    """Each is asked for by itself, beside a request that gets through."""
    owner = firewalled.service.fingerprints.owner
    names = {owner(name := f"{POISON} {n}")[2] % LANES: name for n in range(100)}
    for n, name in names.items():
        await firewalled.bind(name, f"token-{n}", f"phone-{n}", channels=Channel.CHAT, endpoint=f"e-{n}")
    await firewalled.drain_all()
    assert firewalled.proxy.faults[Kind.REFUSAL] == len(names)
    assert await well(firewalled)


async def test_one_is_not_asked_for_all_the_time(firewalled: Pair) -> None:
    """A thousand of the kind would keep the upstream busy; but a new logout waits for nothing."""
    await log_out(firewalled.service, POISON)
    await log_out(firewalled.service, "alice")
    assert await list_owed(firewalled.service) == 1
    anchor = firewalled.service.section.anchor
    score: Any = await firewalled.running.store.command("ZSCORE", anchor + b":l", POISON, key=anchor)
    assert float(score) > await firewalled.service.adoptions.begin() + 60_000
    firewalled.proxy.calm()
    await log_out(firewalled.service, POISON)
    assert await list_owed(firewalled.service) == 1


async def test_one_by_itself_is_no_fault_of_the_store(firewalled: Pair) -> None:
    """There is nothing to tell the store, then."""
    await log_out(firewalled.service, POISON)
    assert await list_owed(firewalled.service) == 0
