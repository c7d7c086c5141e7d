"""Notify bindings at a second Bindery: what changes there in which order, what is refused, and who waits for whom."""

from __future__ import annotations

import asyncio

import pytest

from service.domain.jobs import LANES, Lane, Ledger
from service.domain.record import State
from service.usecases.upstream.channels import NotifyUpstream
from tests.integration.upstream.pair import TIMEOUT, Pair
from tests.servers.fault_proxy import Fault, Kind
from tests.waiting import eventually
from workers.batches import Tally
from workers.upstream_lane import batch

pytestmark = pytest.mark.usefixtures("quick_backoff")

TOKEN = "fcm-token-of-a-device"


async def test_a_takeover_is_one_create(pair: Pair) -> None:
    """The upstream moves the address itself: no moment without a binding, and nothing to delete."""
    await pair.bind("alice", TOKEN, "phone")
    await pair.converge()
    await pair.bind("bob", TOKEN, "phone")
    await pair.converge()
    assert await pair.owners() == {TOKEN: "bob"}
    assert [seen.method for seen in pair.proxy.seen] == ["POST", "POST"]


@pytest.mark.parametrize("whose", ["alice", "bob"])
async def test_a_rotated_token_is_created_before_the_old_one_is_deleted(pair: Pair, whose: str) -> None:
    """Also where the device has come to another identity: at every moment the upstream has one of the two."""
    await pair.bind("alice", TOKEN, "phone")
    await pair.converge()
    pair.proxy.script("POST", Fault(Kind.REFUSAL, status=500), Fault(Kind.REFUSAL_AFTER, status=500))
    await pair.bind(whose, "new", "phone")
    await pair.converge()
    assert await pair.owners() == {"new": whose}
    changes = [seen.method for seen in pair.proxy.seen if seen.method != "GET"]
    assert changes[-1] == "DELETE"
    assert changes.count("DELETE") == 1


async def test_where_the_upstream_is_full_the_old_one_goes_first(pair: Pair) -> None:
    """Row 18: at 20, where it refuses a 21st."""
    for n in range(20):
        await pair.bind("alice", f"token-{n}", f"phone-{n}")
    await pair.converge()
    await pair.bind("alice", "new", "phone-7")
    await pair.converge()
    assert set(await pair.owners()) == {f"token-{n}" for n in range(20) if n != 7} | {"new"}
    assert await pair.service.ledgers.dead_letters() == []


async def test_an_outage_before_does_not_count_where_the_upstream_is_full(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it was tried in vain while the upstream was away, the old one still makes room."""
    monkeypatch.setattr("service.usecases.upstream.applying._TRIES_WHEN_FULL", 3)
    for n in range(20):
        await pair.bind("alice", f"token-{n}", f"phone-{n}")
    await pair.converge()
    await pair.proxy.down()
    await pair.bind("alice", "new", "phone-7")
    for tries in range(1, 5):
        await eventually(lambda: _tried(pair, tries))  # noqa: B023  # asked before the next one
    await pair.proxy.up()
    await pair.converge()
    assert "new" in await pair.owners()
    assert await pair.service.ledgers.dead_letters() == []


async def _tried(pair: Pair, tries: int) -> bool:
    await pair.drain_notify()
    return bool((await pair.record("new")).attempts >= tries)


async def test_whoever_lost_an_address_does_not_keep_it_where_its_new_owner_is_refused(pair: Pair) -> None:
    """Row 19: the upstream is full for bob, with bindings that were never ours."""
    await pair.bind("alice", TOKEN, "phone")
    await pair.converge()
    for n in range(20):
        await pair.create_there("bob", f"foreign-{n}")
    await pair.bind("bob", TOKEN, "phone")
    await pair.converge()
    assert TOKEN not in await pair.owners()
    [letter] = await pair.service.ledgers.dead_letters()
    assert letter.reason.startswith("400/20001 ")
    assert (await pair.record(TOKEN)).notify == State.FAILED


@pytest.mark.parametrize(
    "change",
    [{"tags": ("new",)}, {"credential_sid": "CR" + "1" * 32}, {"protocol_version": "4"}],
    ids=lambda c: next(iter(c)),
)
async def test_a_difference_is_replaced_once(pair: Pair, change: dict[str, object]) -> None:
    """In tags, credential or protocol version alone; and the order of tags is none."""
    await pair.bind("alice", TOKEN, "phone", **{"tags": ("a", "b"), **change})
    await pair.converge()
    before = pair.posts()
    await pair.bind("alice", TOKEN, "phone", tags=("b", "a"))
    await pair.converge()
    [binding] = await pair.bindings()
    assert sorted(binding["tags"]) == ["a", "b"]
    assert (binding["credential_sid"], binding["notification_protocol_version"]) == (None, "3")
    assert pair.posts() == before + 1
    assert len(await pair.bindings()) == 1


async def test_what_the_upstream_does_not_see_costs_no_call(pair: Pair) -> None:
    """A new device id, a new session: nothing changes there."""
    await pair.bind("alice", TOKEN, "phone")
    await pair.converge()
    await pair.bind("alice", TOKEN, "tablet", session="s2")
    await pair.converge()
    assert len(pair.proxy.seen) == 1


async def test_a_refusal_is_a_dead_letter_without_the_address(pair: Pair) -> None:
    """With the upstream's code and message; retried, it is applied."""
    pair.proxy.script("POST", Fault(Kind.REFUSAL, status=400))
    await pair.bind("alice", TOKEN)
    await pair.converge()
    [letter] = await pair.service.ledgers.dead_letters()
    assert letter.reason == "400/20500 a fault"
    await pair.service.ledgers.retry(letter)
    await pair.converge()
    assert await pair.owners() == {TOKEN: "alice"}


async def test_credentials_that_are_refused_make_no_dead_letters(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the account that is held, and it shows; nothing is lost."""
    monkeypatch.setattr("service.backends.twilio.errors._ACCOUNT_SECONDS", 0.2)
    pair.proxy.script("POST", Fault(Kind.REFUSAL, status=401))
    await pair.bind("alice", TOKEN)
    await batch(pair.service, pair.upstream, pair.lane(TOKEN), 32, Tally())
    assert await pair.service.ledgers.dead_letters() == []
    assert (await pair.upstream.bindings.account.admission.health()).held_seconds > 0
    await pair.converge()
    assert await pair.owners() == {TOKEN: "alice"}


async def test_a_batch_never_acts_beyond_its_lease(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 8: with less left than a request may take, nothing is sent; the next worker has no doubt to clear."""
    monkeypatch.setattr(NotifyUpstream, "lease_ms", int(1000 * TIMEOUT) - 100)
    await pair.bind("alice", TOKEN)
    await batch(pair.service, pair.upstream, pair.lane(TOKEN), 32, Tally())
    assert pair.proxy.seen == []
    assert (await pair.record(TOKEN)).attempts == 0
    monkeypatch.undo()
    await pair.converge()
    assert [seen.method for seen in pair.proxy.seen] == ["POST"]


async def test_a_slow_record_holds_up_no_other(pair: Pair) -> None:
    """Each is settled as soon as its own call has ended."""
    pair.proxy.script("POST", Fault(Kind.SILENCE))
    same = [t for t in (f"token-{n}" for n in range(200)) if pair.lane(t) == pair.lane("token-0")][:10]
    for address in same:
        await pair.bind(f"of-{address}", address)
    work = asyncio.create_task(batch(pair.service, pair.upstream, pair.lane("token-0"), 32, Tally()))

    async def others_are_applied() -> bool:
        assert not work.done()
        return sum([await pair.applied([address]) for address in same]) == 9

    await eventually(others_are_applied)
    await work
    await pair.converge()
    assert pair.posts() == 10


@pytest.mark.slow
async def test_a_dead_upstream_is_left_alone(pair: Pair) -> None:
    """Once the breaker is open, jobs end before they take anything; attempts stay low, and each is created once."""
    await pair.proxy.down()
    addresses = await pair.login_many(60)
    await pair.drain_notify()
    for _ in range(5):
        await pair.drain_notify()
    assert (await pair.upstream.bindings.account.admission.health()).state == "open"
    assert max([(await pair.record(address)).attempts for address in addresses]) <= 2
    await pair.proxy.up()
    await pair.converge(40)
    assert len(await pair.bindings()) == 60
    assert pair.posts() == 60


async def test_at_most_four_lanes_are_drained_at_a_time(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of a worker's jobs are other Services'; who was turned away is woken by who leaves."""
    for n in range(64):
        await pair.bind(f"user-{n}", f"token-{n}")
    woken: list[Lane] = []
    monkeypatch.setattr(pair.service, "wake_lane", woken.append)
    lanes = [Lane(pair.service.sid, Ledger.NOTIFY, n) for n in range(LANES)]
    await asyncio.gather(*(pair.drain(lane) for lane in lanes))
    assert set(woken) == set(lanes[4:])
    assert 0 < len(await pair.bindings()) < 64
    await pair.converge()
    assert len(await pair.bindings()) == 64
