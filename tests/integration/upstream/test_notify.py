"""Notify bindings at a second Bindery: lost answers, late requests and dead workers, and what is there in the end."""

from __future__ import annotations

import asyncio

import pytest

from service.domain.jobs import Lane
from service.domain.record import Channel, State
from service.usecases import notify_bindings
from service.usecases.ending import log_out
from service.usecases.looking_up import look_up
from service.usecases.upstream.channels import NotifyUpstream
from tests.integration.upstream.pair import Pair
from tests.servers.fault_proxy import Fault, Kind
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
    # The list is the lookup's: there may be more of hers.
    assert [seen.method for seen in pair.proxy.seen] == ["POST", "GET"]


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
    pair.patient()
    pair.proxy.script("POST", Fault(Kind.LATE))
    await pair.bind("alice", TOKEN)
    await pair.drain_until_posted(2)
    await pair.proxy.release()
    await pair.time_passes()
    await pair.converge()
    [binding] = await pair.bindings()
    assert str((await pair.record(TOKEN)).visible_sid(Channel.NOTIFY)) == binding["sid"]
    assert pair.posts() == 2


async def test_a_create_that_lands_after_its_logout_is_deleted(pair: Pair) -> None:
    """Row 10a: nobody wants it any more when it lands, and the list at the end of the doubt finds it."""
    pair.patient()
    pair.proxy.script("POST", Fault(Kind.LATE))
    await pair.bind("alice", TOKEN, "phone")
    await pair.drain_notify()
    await log_out(pair.service, "alice", device_id="phone")
    await pair.drain_notify()
    await pair.proxy.release()
    assert await pair.owners() == {TOKEN: "alice"}
    assert [len(found) for _, found in await look_up(pair.service, ["alice"])] == [0]
    await pair.time_passes()
    await pair.converge()
    assert await pair.owners() == {}
    assert await pair.maybe(TOKEN) is None


@pytest.mark.parametrize("ends", ["bob has it", "bob has logged out"])
async def test_a_dead_workers_create_lands_after_a_takeover(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    """Rows 9b, 11: alice's create was under way when its worker was killed; it lands when bob has the address."""
    pair.patient()
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
    await pair.time_passes()
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
    pair.patient()
    pair.proxy.script("POST", Fault(kind))
    await pair.bind("alice", TOKEN)
    work = asyncio.create_task(batch(pair.service, pair.upstream, pair.lane(TOKEN), 32, Tally()))
    await pair.proxy.met(kind)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    assert (await pair.record(TOKEN)).doubt > 0
    await pair.drain_until_posted(2 if kind is Kind.LATE else 1)
    await pair.proxy.release()
    await pair.time_passes()
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
    pair.patient()
    pair.proxy.script("DELETE", Fault(Kind.LATE))
    await log_out(pair.service, "alice", device_id="phone")
    await pair.drain_notify()
    await pair.bind("alice", TOKEN, "phone")
    await pair.drain_until(lambda: pair.applied([TOKEN]))
    assert pair.posts() == 1
    await pair.proxy.release()
    assert await pair.owners() == {}
    await pair.time_passes()
    await pair.converge()
    assert await pair.owners() == {TOKEN: "alice"}
    assert pair.posts() == 2
