"""Notify bindings at a second Bindery: lost answers, late requests and dead workers, and what is there in the end."""

from __future__ import annotations

import asyncio

import pytest

from service.domain.jobs import LANES, Lane, Ledger
from service.domain.record import Channel, State
from service.usecases import notify_bindings
from service.usecases.ending import log_out
from service.usecases.looking_up import look_up
from service.usecases.upstreams import NotifyUpstream
from tests.integration.upstream.pair import TIMEOUT, Pair
from tests.servers.fault_proxy import Fault, Kind
from tests.waiting import eventually
from workers.batches import Tally
from workers.upstream_lane import batch

pytestmark = pytest.mark.usefixtures("quick_backoff")

TOKEN = "fcm-token-of-a-device"


async def die_at(pair: Pair, address: str, kind: Kind, monkeypatch: pytest.MonkeyPatch, lease_ms: int = 900) -> None:
    """A worker that is killed when its request has met this; its lease runs out by itself."""
    lane: Lane = pair.lane(address)

    async def dead(_: object) -> None:
        """Hands nothing back."""

    with monkeypatch.context() as patch:
        patch.setattr("workers.upstream_lane.hand_back", dead)
        patch.setattr(NotifyUpstream, "lease_ms", lease_ms)
        work = asyncio.create_task(batch(pair.service, pair.upstream, lane, 32, Tally()))
        await pair.proxy.met(kind)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def test_a_registration_is_created_once_and_shown_under_its_sid(pair: Pair) -> None:
    """What the upstream holds is what was asked for, and back ends of both sides see the same SID."""
    await pair.bind("alice", TOKEN, "phone", tags=("one", "two"), credential_sid="CR" + "c" * 32)
    await pair.converge()
    [binding] = await pair.bindings()
    assert (binding["identity"], binding["address"], binding["tags"]) == ("alice", TOKEN, ["one", "two"])
    assert (binding["credential_sid"], binding["notification_protocol_version"]) == ("CR" + "c" * 32, "3")
    shown = await notify_bindings.fetch(pair.service, binding["sid"])
    assert shown is not None
    assert (shown.sid, shown.address) == (binding["sid"], TOKEN)
    [(_, [view])] = await look_up(pair.service, ["alice"])
    assert view.bindings.notify == binding["sid"]
    assert (pair.posts(), len(pair.proxy.seen)) == (1, 1)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(Kind.LOST_ANSWER),
        Fault(Kind.REFUSAL_AFTER, status=500),
        pytest.param(Fault(Kind.SILENCE), marks=pytest.mark.slow),
        pytest.param(Fault(Kind.RESET_ANSWER), marks=pytest.mark.slow),
        pytest.param(Fault(Kind.HALF_BODY), marks=pytest.mark.slow),
        pytest.param(Fault(Kind.REFUSAL_AFTER, status=503), marks=pytest.mark.slow),
    ],
    ids=lambda fault: f"{fault.kind.value}-{fault.status}",
)
async def test_a_create_whose_answer_is_lost_is_not_repeated(pair: Pair, fault: Fault) -> None:
    """Rows 2, 3, 5: it is found by listing, and its SID is the one that is shown."""
    pair.proxy.script("POST", fault)
    await pair.bind("alice", TOKEN)
    await pair.converge()
    [binding] = await pair.bindings()
    assert str((await pair.record(TOKEN)).visible_sid(Channel.NOTIFY)) == binding["sid"]
    assert pair.posts() == 1
    # Listed at once, and when nothing could come late any more.
    assert len(pair.proxy.reached("GET")) == 2


@pytest.mark.parametrize(
    "fault", [Fault(Kind.REFUSAL, status=429), Fault(Kind.REFUSAL, status=408)], ids=lambda fault: f"{fault.status}"
)
async def test_what_was_certainly_not_done_is_just_done_again(
    pair: Pair, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 6: no doubt, no list."""
    monkeypatch.setattr("service.backends.twilio.admission._HOLD_SECONDS", 0.1)
    pair.proxy.script("POST", fault)
    await pair.bind("alice", TOKEN)
    await pair.converge()
    assert [seen.method for seen in pair.proxy.seen] == ["POST", "POST"]
    assert await pair.owners() == {TOKEN: "alice"}


async def test_an_upstream_that_refuses_connections_is_not_in_doubt(pair: Pair) -> None:
    """Row 6: what could not be sent needs no looking after."""
    await pair.proxy.down()
    await pair.bind("alice", TOKEN)
    await pair.drain_notify()
    record = await pair.record(TOKEN)
    assert (record.notify, record.doubt, record.attempts) == (State.PENDING, 0, 1)
    await pair.proxy.up()
    await pair.converge()
    assert [seen.method for seen in pair.proxy.seen] == ["POST"]


async def test_a_create_that_lands_late_is_no_second_binding(pair: Pair) -> None:
    """Row 2: it lands after the first list and the second create; the last list finds which SID counts."""
    pair.proxy.script("POST", Fault(Kind.LATE))
    await pair.bind("alice", TOKEN)
    await pair.drain_until_posted(2)
    await pair.proxy.release()
    await pair.converge()
    [binding] = await pair.bindings()
    assert str((await pair.record(TOKEN)).visible_sid(Channel.NOTIFY)) == binding["sid"]
    assert pair.posts() == 2


async def test_a_create_that_lands_after_its_logout_is_deleted(pair: Pair) -> None:
    """Row 10a: nobody wants it any more when it lands, and the list at the end of the doubt finds it."""
    pair.proxy.script("POST", Fault(Kind.LATE))
    await pair.bind("alice", TOKEN, "phone")
    await pair.drain_notify()
    await log_out(pair.service, "alice", device_id="phone")
    await pair.drain_notify()
    await pair.proxy.release()
    assert await pair.owners() == {TOKEN: "alice"}
    assert [len(found) for _, found in await look_up(pair.service, ["alice"])] == [0]
    await pair.converge()
    assert await pair.owners() == {}
    assert await pair.maybe(TOKEN) is None


@pytest.mark.parametrize("ends", ["bob has it", "bob has logged out"])
async def test_a_dead_workers_create_lands_after_a_takeover(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    """Rows 9b, 11: alice's create was under way when its worker was killed; it lands when bob has the address."""
    pair.proxy.script("POST", Fault(Kind.LATE))
    await pair.bind("alice", TOKEN, "phone")
    await die_at(pair, TOKEN, Kind.LATE, monkeypatch)
    await pair.bind("bob", TOKEN, "phone")
    await pair.drain_until_posted(2)
    if ends == "bob has logged out":
        await log_out(pair.service, "bob", device_id="phone")
        await pair.drain_notify()
    await pair.proxy.release()
    assert await pair.owners() == {TOKEN: "alice"}
    await pair.converge()
    assert await pair.owners() == ({TOKEN: "bob"} if ends == "bob has it" else {})
    assert [len(found) for _, found in await look_up(pair.service, ["alice"])] == [0]


async def test_a_worker_killed_after_the_answer_costs_no_second_create(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 3: the binding is there; the next worker lists and finds it."""
    pair.proxy.script("POST", Fault(Kind.SILENCE))
    await pair.bind("alice", TOKEN)
    await die_at(pair, TOKEN, Kind.SILENCE, monkeypatch)
    await pair.converge()
    assert pair.posts() == 1
    assert await pair.owners() == {TOKEN: "alice"}


@pytest.mark.parametrize(
    "kind", [*(pytest.param(kind, marks=pytest.mark.slow) for kind in (Kind.SILENCE, Kind.NEVER)), Kind.LATE]
)
async def test_a_job_that_is_cancelled_in_a_call_leaves_a_doubt(pair: Pair, kind: Kind) -> None:
    """Row 12: what was sent is not handed back as if nothing had been."""
    pair.proxy.script("POST", Fault(kind))
    await pair.bind("alice", TOKEN)
    work = asyncio.create_task(batch(pair.service, pair.upstream, pair.lane(TOKEN), 32, Tally()))
    await pair.proxy.met(kind)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    assert (await pair.record(TOKEN)).doubt > 0
    await pair.drain_until_posted(2 if kind is Kind.LATE else 1)
    await pair.proxy.release()
    await pair.converge()
    assert await pair.owners() == {TOKEN: "alice"}
    assert pair.posts() == (2 if kind is Kind.LATE else 1)


@pytest.mark.parametrize(
    "kind", [Kind.LOST_ANSWER, *(pytest.param(kind, marks=pytest.mark.slow) for kind in (Kind.SILENCE, Kind.NEVER))]
)
async def test_a_delete_whose_answer_is_lost_is_repeated(pair: Pair, kind: Kind) -> None:
    """Row 7: by listing what is still there."""
    await pair.bind("alice", TOKEN, "phone")
    await pair.converge()
    pair.proxy.script("DELETE", Fault(kind))
    await log_out(pair.service, "alice", device_id="phone")
    await pair.converge()
    assert await pair.owners() == {}
    assert await pair.maybe(TOKEN) is None


async def test_a_late_delete_does_not_win(pair: Pair) -> None:
    """Row 7: it lands when the address has been registered again, and the same SID was found to be there still."""
    await pair.bind("alice", TOKEN, "phone")
    await pair.converge()
    pair.proxy.script("DELETE", Fault(Kind.LATE))
    await log_out(pair.service, "alice", device_id="phone")
    await pair.drain_notify()
    await pair.bind("alice", TOKEN, "phone")
    await pair.drain_until(lambda: pair.applied([TOKEN]))
    assert pair.posts() == 1
    await pair.proxy.release()
    assert await pair.owners() == {}
    await pair.converge()
    assert await pair.owners() == {TOKEN: "alice"}
    assert pair.posts() == 2


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
    await pair.drain_notify()
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
    woken: list[bytes] = []
    monkeypatch.setattr(pair.service, "wake", lambda wake, _=None: woken.append(wake))
    lanes = [Lane(pair.service.sid, Ledger.NOTIFY, n) for n in range(LANES)]
    await asyncio.gather(*(pair.drain(lane) for lane in lanes))
    assert {seen.key.encode() for seen in lanes[4:]} == set(woken)
    assert 0 < len(await pair.bindings()) < 64
    await pair.converge()
    assert len(await pair.bindings()) == 64
