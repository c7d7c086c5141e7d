"""A list that a firewall refuses, for a name in it, holds up no other name."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from service.backends.twilio import OutcomeUnknown
from service.domain.jobs import LANES
from service.domain.record import State
from service.usecases.ending import log_out
from service.usecases.looking_up import look_up
from tests.integration.upstream.chat import BOTH, There
from tests.integration.upstream.pair import Pair
from tests.integration.upstream.test_audit import audited
from tests.servers.fault_proxy import Fault, Kind
from workers.listing import list_owed

pytestmark = pytest.mark.usefixtures("quick_backoff")

POISON = "DROP TABLE"


@pytest.fixture
def firewalled(both: Pair) -> Pair:
    """A firewall between the two, that takes offence at one name."""
    both.proxy.refuse("DROP%20TABLE", status=403, code=None)
    return both


async def well(pair: Pair) -> bool:
    """Whether the upstream is called at all: asking for the culprit must not look like an outage."""
    return (await pair.upstream.account.admission.health()).state == "closed"


async def test_the_audit_goes_on_without_it(pair: Pair) -> None:
    """It is passed over, and what has gone of others is found."""
    for n in range(20):
        await pair.bind(f"user-{n}", f"token-{n}")
    await pair.bind(POISON, "token")
    await pair.converge()
    pair.proxy.refuse("DROP%20TABLE", status=403, code=None)
    [gone] = await pair.bindings("user-3")
    await pair.delete_there(gone["sid"])
    assert await audited(pair) == 1
    assert await pair.maybe("token-3") is None
    assert (await pair.record("token")).notify == State.APPLIED
    assert await well(pair)


async def test_others_that_are_owed_a_list_are_listed_without_it(firewalled: Pair, there: There) -> None:
    """It alone stays owed, and is listed when it can be."""
    await there.connect("alice", "e-alice")
    await firewalled.create_there("bob", "t-bob")
    await firewalled.create_there(POISON, "t-poison")
    for identity in ("alice", POISON, "bob", *(f"user-{n}" for n in range(30))):
        await log_out(firewalled.service, identity)
    assert await list_owed(firewalled.service) == 32
    await firewalled.converge()
    assert (await firewalled.owners(), await there.endpoints()) == ({"t-poison": POISON}, set())
    assert await well(firewalled)
    firewalled.proxy.calm()
    await leases_are_over(firewalled)
    assert await list_owed(firewalled.service) == 1
    await firewalled.converge()
    assert await firewalled.owners() == {}


async def test_others_that_are_looked_up_with_it_are_found(firewalled: Pair) -> None:
    """In one request; what there is of it is not known to be nothing."""
    await firewalled.create_there("bob", "t-bob")
    await firewalled.create_there(POISON, "t-poison")
    found = await look_up(firewalled.service, ["alice", POISON, "bob"])
    assert [len(views) for _, views in found] == [0, 0, 1]
    firewalled.proxy.calm()
    assert await list_owed(firewalled.service) == 1
    [(_, views)] = await look_up(firewalled.service, [POISON])
    assert [view.address for view in views] == ["t-poison"]


async def test_others_that_are_in_doubt_are_settled_without_it(pair: Pair) -> None:
    """Of a batch that shares one list; it is tried again, and no dead letter."""
    addresses = of_one_lane(pair)
    bad, good = next(addresses), [next(addresses) for _ in range(3)]
    for address in good:
        await pair.bind(f"of-{address}", address)
    await pair.bind(POISON, bad)
    pair.proxy.script("POST", *[Fault(Kind.LOST_ANSWER)] * 4)
    await pair.drain_until_posted(4)
    pair.proxy.refuse("DROP%20TABLE", status=403, code=None)

    async def settled() -> bool:
        return await pair.applied(good)

    await pair.drain_until(settled)
    assert (await pair.record(bad)).notify == State.PENDING
    pair.proxy.calm()
    await pair.converge()
    assert (await pair.record(bad)).notify == State.APPLIED
    assert await pair.service.ledgers.dead_letters() == []


async def test_others_of_a_chat_lane_are_worked_without_it(firewalled: Pair, there: There) -> None:
    """It is tried again, and no dead letter."""
    owner = firewalled.service.fingerprints.owner
    alike = (name for n in count() if owner(name := f"user-{n}")[2] % LANES == owner(POISON)[2] % LANES)
    good = next(alike)
    await there.connect(good, "e-good")
    await firewalled.bind(good, "t-good", "phone", channels=BOTH, endpoint="e-good")
    await firewalled.bind(POISON, "t-bad", "tablet", channels=BOTH, endpoint="e-bad")
    await firewalled.drain_all()
    assert (await firewalled.record("t-good")).chat == State.APPLIED
    assert (await firewalled.record("t-bad")).chat == State.PENDING
    assert await firewalled.service.ledgers.dead_letters() == []


async def test_where_everything_is_refused_each_list_is_asked_for_once(pair: Pair) -> None:
    """It is the upstream that is away then, whoever answers for it."""
    for n in range(20):
        await pair.bind(f"user-{n}", f"token-{n}")
    await pair.converge()
    pair.proxy.refuse("/v1/", status=403, code=None)
    asked = len(pair.proxy.seen)
    with pytest.raises(OutcomeUnknown):
        await audited(pair)
    assert len(pair.proxy.seen) - asked == 2


async def leases_are_over(pair: Pair) -> None:
    """As if what was taken to be listed had been taken long ago."""
    anchor = pair.service.section.anchor
    owed: Any = await pair.running.store.command("ZRANGE", anchor + b":l", 0, -1, key=anchor)
    for identity in owed:
        await pair.running.store.command("ZADD", anchor + b":l", 1, identity, key=anchor)


def of_one_lane(pair: Pair) -> Iterator[str]:
    """Addresses whose work is taken together."""
    return (address for n in count() if pair.lane(address := f"token-{n}") == pair.lane("token-0"))
