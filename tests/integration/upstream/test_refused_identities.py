"""An identity that is taken here and refused by the upstream holds up nobody else, and its own work ends."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from service.domain.jobs import LANES
from service.domain.record import State
from service.usecases.ending import log_out
from tests.integration.upstream.chat import BOTH, There
from tests.integration.upstream.pair import Pair
from tests.integration.upstream.test_audit import audited
from tests.servers.fault_proxy import Fault, Kind
from workers.listing import list_owed

pytestmark = pytest.mark.usefixtures("quick_backoff")

BAD = "refused-there"


def of_one_lane(pair: Pair) -> Iterator[str]:
    """Addresses whose work is taken together."""
    return (address for n in count() if pair.lane(address := f"token-{n}") == pair.lane("token-0"))


async def reasons(pair: Pair) -> list[str]:
    """What the dead letters say."""
    return [letter.reason for letter in await pair.service.ledgers.dead_letters()]


async def test_what_a_firewall_refuses_holds_up_nobody_else(pair: Pair) -> None:
    """A 403 without the API's code is about one request's content: that is tried again, the account not left alone."""
    pair.proxy.refuse("DROP%20TABLE", status=403, code=None)
    await pair.bind("DROP TABLE", "poison")
    await pair.drain_notify()
    await pair.proxy.met(Kind.REFUSAL)
    await pair.bind("alice", "token")
    await pair.drain_notify()
    assert await pair.owners() == {"token": "alice"}
    assert (await pair.upstream.account.admission.health()).held_seconds == 0
    pair.proxy.calm()
    await pair.converge()
    assert await pair.owners() == {"token": "alice", "poison": "DROP TABLE"}


async def test_the_audit_goes_on_without_it(pair: Pair) -> None:
    """It is passed over, not taken for dead; what has gone of others is found, and the walk gets to its end."""
    for n in range(10):
        await pair.bind(f"user-{n}", f"token-{n}")
    await pair.bind(BAD, "token")
    await pair.converge()
    pair.proxy.refuse(BAD)
    [gone] = await pair.bindings("user-3")
    await pair.delete_there(gone["sid"])
    assert await audited(pair) == 1
    assert await pair.maybe("token-3") is None
    assert (await pair.record("token")).notify == State.APPLIED
    anchor = pair.service.section.anchor
    assert await pair.running.store.command("GET", anchor + b":audit", key=anchor) == b""


async def test_the_audit_goes_on_past_what_always_fails(pair: Pair) -> None:
    """A binding of which the upstream does not say whether it has it is no end of the walk either."""
    for n in range(10):
        await pair.bind(f"user-{n}", f"token-{n}")
    await pair.converge()
    gone = [(await pair.bindings(f"user-{n}"))[0]["sid"] for n in (3, 5)]
    for sid in gone:
        await pair.delete_there(sid)
    pair.proxy.refuse(f"Bindings/{gone[0]}", status=500)
    assert await audited(pair) == 1
    assert await pair.maybe("token-5") is None
    assert (await pair.record("token-3")).notify == State.APPLIED


async def test_others_that_are_in_doubt_are_listed_without_it(pair: Pair) -> None:
    """Of a batch that shares one list; it is sent once more, and what the upstream says of it is its dead letter."""
    addresses = of_one_lane(pair)
    bad, good = next(addresses), [next(addresses) for _ in range(3)]
    for address in good:
        await pair.bind(f"of-{address}", address)
    await pair.bind(BAD, bad)
    pair.proxy.script("POST", *[Fault(Kind.LOST_ANSWER)] * 4)
    await pair.drain_until_posted(4)
    pair.proxy.refuse(BAD)
    await pair.converge()
    assert await pair.applied(good)
    assert (await pair.record(bad)).notify == State.FAILED
    [reason] = await reasons(pair)
    assert reason.startswith("400/20001")


async def test_a_removal_in_doubt_deletes_what_is_known_and_says_that_it_cannot_look(pair: Pair) -> None:
    """Nobody can tell whether that was all."""
    await pair.bind(BAD, "token", tags=("one",))
    await pair.converge()
    await pair.bind(BAD, "token", tags=("two",))
    pair.proxy.script("POST", Fault(Kind.REFUSAL, status=500))
    await pair.drain_until_posted(1)
    await log_out(pair.service, BAD)
    pair.proxy.refuse(BAD)
    await pair.converge()
    assert await pair.owners() == {}
    [reason] = await reasons(pair)
    assert reason.startswith("400/20001")
    [letter] = await pair.service.ledgers.dead_letters()
    pair.proxy.calm()
    await pair.service.ledgers.retry(letter)
    await pair.converge()
    assert await pair.maybe("token") is None


@pytest.mark.parametrize("status", [400, 414, 422])
async def test_others_of_a_chat_lane_are_worked_without_it(chat: Pair, there: There, status: int) -> None:
    """Its Chat binding is a dead letter, whether it is too long for the upstream or of a form that it does not take."""
    lane = chat.service.fingerprints.owner("alice")[2] % LANES
    names = (f"{BAD}-{n}" for n in count())
    bad = next(name for name in names if chat.service.fingerprints.owner(name)[2] % LANES == lane)
    await there.connect("alice", "e-alice")
    await chat.bind("alice", "t-alice", "phone", channels=BOTH, endpoint="e-alice")
    await chat.bind(bad, "t-bad", "tablet", channels=BOTH, endpoint="e-bad")
    chat.proxy.refuse(BAD, status)
    await chat.converge()
    assert (await chat.record("t-alice")).chat == State.APPLIED
    assert (await chat.record("t-bad")).chat == State.FAILED
    [reason] = await reasons(chat)
    assert reason.startswith(f"{status}/20001")


async def test_others_that_are_owed_a_list_are_listed_without_it(chat: Pair, there: There) -> None:
    """After a logout of each; none of them is owed one any more."""
    await there.connect("alice", "e-alice")
    chat.proxy.refuse(BAD)
    for identity in ("alice", BAD):
        await log_out(chat.service, identity)
    assert await list_owed(chat.service) == 2
    assert await there.endpoints() == set()
    assert await list_owed(chat.service) == 0


async def test_a_page_that_says_that_it_is_away_refuses_nothing_for_good(pair: Pair) -> None:
    """A web server that shows such a page answers 405 to a POST: once it is gone, all is applied without help."""
    pair.proxy.refuse("Address=token", status=405, code=None)
    await pair.bind("alice", "token")
    await pair.drain_notify()
    await pair.proxy.met(Kind.REFUSAL)
    assert await reasons(pair) == []
    pair.proxy.calm()
    await pair.converge()
    assert await pair.owners() == {"token": "alice"}
