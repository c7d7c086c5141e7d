"""What a settlement makes of a record, and what a take finds of a worker that died: field by field."""

from __future__ import annotations

import pytest

from service.domain.events import EventType
from service.domain.record import State
from service.redis import Redis
from service.store.ledger import Verdict
from service.store.upstream_ledger import Observation, Report, Taken, UpstreamLease, UpstreamLedger
from tests.integration.store.adoption import adopt, binding
from tests.integration.store.desk import CHAT, NOTIFY
from tests.integration.store.upstream_desk import LEASE_MS, UpstreamDesk, seen


@pytest.fixture
async def desk(redis: Redis) -> UpstreamDesk:
    return UpstreamDesk(redis)


async def observed(desk: UpstreamDesk, lease: UpstreamLease, taken: Taken, verdict: Verdict, report: Report) -> int:
    """Nothing was seen of it."""
    return await desk.upstream.settle(
        desk.lane("token"), lease, [Observation(taken.record, verdict, report, reason="no")]
    )


async def test_what_has_failed_and_was_applied_then_is_told_once_each(desk: UpstreamDesk) -> None:
    """With no letter left, and as many tries as at first."""
    await desk.login("alice", "token")
    lease, taken = await desk.take("token")
    await desk.unknown("token", lease, taken.record)
    lease, taken = await desk.take("token")
    assert await observed(desk, lease, taken, Verdict.DEAD, Report.SAME) == 1
    assert len(await desk.ledgers.dead_letters()) == 1
    assert (await desk.known("token")).attempts == 1
    assert await desk.depth() == 1
    lease, taken = await desk.take("token")
    assert await desk.held("token", lease, taken.record) == 1
    record = await desk.known("token")
    assert (record.notify, record.attempts, record.doubt) == (State.APPLIED, 0, 0)
    assert await desk.ledgers.dead_letters() == []
    types = [event.type for event in await desk.events()]
    assert types == [EventType.REGISTERED, EventType.FAILED, EventType.APPLIED]


async def test_a_refusal_after_the_doubt_ends_it(desk: UpstreamDesk) -> None:
    """It was looked at when nothing could come any more: nothing is owed."""
    await desk.login("alice", "token")
    lease, taken = await desk.take("token")
    await desk.unknown("token", lease, taken.record)
    await desk.pass_by((await desk.known("token")).doubt)
    lease, taken = await desk.take("token")
    assert await observed(desk, lease, taken, Verdict.DEAD, Report.SAME) == 1
    assert ((await desk.known("token")).doubt, await desk.depth()) == (0, 0)


async def test_what_is_applied_and_was_not_found_out_about_stays_shown(desk: UpstreamDesk) -> None:
    """A look that failed half-way leaves it unknown."""
    await desk.login("alice", "token")
    lease, taken = await desk.take("token")
    await desk.unknown("token", lease, taken.record)
    lease, taken = await desk.take("token")
    await desk.held("token", lease, taken.record)
    lease, taken = await desk.take("token")
    assert taken.record.notify == State.APPLIED
    assert await observed(desk, lease, taken, Verdict.LATER, Report.UNKNOWN) == 1
    assert (await desk.known("token")).notify == State.UNKNOWN
    assert await desk.applied("alice") == {"token"}


async def test_a_lease_that_was_overtaken_settles_nothing(desk: UpstreamDesk) -> None:
    """Of the very same version: what it tells is of a call that raced, and is looked into when its holder is done."""
    await desk.login("alice", "token")
    stopped, old = await desk.take("token", lease_ms=1)
    lease, taken = await desk.take("token")
    assert taken.record.version == old.record.version
    assert await desk.held("token", stopped, old.record) == 0
    assert (await desk.known("token")).notify == State.PENDING
    assert not await desk.due("token")
    assert await desk.held("token", lease, taken.record) == 1
    assert ((await desk.known("token")).notify, await desk.depth()) == (State.APPLIED, 1)


async def test_a_late_word_of_what_is_not_wanted_there_is_looked_into(desk: UpstreamDesk) -> None:
    """Of an address that is registered for Chat alone by then, with nothing known there."""
    await desk.login("alice", "token")
    stopped, old = await desk.take("token", lease_ms=1)
    await desk.logout("alice")
    while await desk.record("token"):
        lease, taken = await desk.take("token")
        await desk.gone("token", lease, taken.record)
    await desk.login("bob", "token", channels=CHAT)
    assert await desk.depth() == 1
    await desk.unknown("token", stopped, old.record)
    record = await desk.known("token")
    assert record.doubt > 0
    assert [trace.attributes.identity for trace in record.traces] == ["alice"]
    assert await desk.depth() == 2


async def test_what_a_late_call_may_have_made_is_looked_for_under_whom_it_was_sent_for(desk: UpstreamDesk) -> None:
    """Nobody has the address any more, and it was another's at last."""
    await desk.login("alice", "token", tags=("sent",))
    stopped, old = await desk.take("token", lease_ms=1)
    await desk.logout("alice")
    while await desk.record("token"):
        lease, taken = await desk.take("token")
        await desk.gone("token", lease, taken.record)
    report = Observation(old.record, Verdict.LATER, Report.UNKNOWN, seen(None, "carol", "sent"))
    await desk.upstream.settle(desk.lane("token"), stopped, [report])
    _, taken = await desk.take("token")
    assert [trace.attributes.identity for trace in taken.record.traces] == ["carol"]


async def test_a_worker_that_died_over_what_was_applied_leaves_it_shown_and_unknown(desk: UpstreamDesk) -> None:
    """And what it may have sent known, whoever has the address next."""
    sid = await desk.apply("alice", "token")
    await adopt(desk, binding("alice", "token", "theirs"))
    lease, taken = await desk.take("token")
    await desk.held("token", lease, taken.record, sid)
    _, taken = await desk.take("token", lease_ms=1)
    assert taken.record.notify == State.APPLIED
    _, taken = await desk.take("token")
    assert taken.record.notify == State.UNKNOWN
    assert await desk.applied("alice") == {"token"}
    await desk.login("bob", "fresh")
    await desk.take("fresh", lease_ms=1)
    _, taken = await desk.take("fresh")
    assert [(trace.sid, trace.attributes.identity) for trace in taken.record.traces] == [(None, "bob")]


async def test_a_worker_that_died_over_a_removal_leaves_nothing_shown(desk: UpstreamDesk) -> None:
    """Nor is it known of anything more than before."""
    sid = await desk.apply("alice", "token")
    await desk.logout("alice")
    await desk.take("token", lease_ms=1)
    _, taken = await desk.take("token")
    assert taken.record.visible(NOTIFY) is None
    assert [trace.sid for trace in taken.record.traces] == [sid]


async def test_a_doubt_of_a_clock_that_was_ahead_ends_in_time(desk: UpstreamDesk) -> None:
    """It lasts no longer than any can from now on."""
    ahead = UpstreamLedger(desk.section, longest_ms=3_600_000, events_max=1000)
    await desk.login("alice", "token")
    lease, taken = await desk.take("token")
    report = Observation(taken.record, Verdict.LATER, Report.UNKNOWN, seen(None, "alice"))
    await ahead.settle(desk.lane("token"), lease, [report])
    lease, taken = await desk.take("token")
    assert lease.began < taken.record.doubt < lease.began + LEASE_MS
    assert (await desk.known("token")).doubt == taken.record.doubt


async def test_an_entry_without_a_record_goes(desk: UpstreamDesk) -> None:
    """There is nothing to be done about it."""
    await desk.login("alice", "token")
    lane = desk.section.anchor + b":n%d" % desk.lane("token").number
    stray = b"\0\0" + desk.fingerprint("token")[2:3] + b"\0" * 9
    await desk.redis.command("ZADD", lane, 1, stray, key=desk.section.anchor)
    assert await desk.depth() == 2
    await desk.take("token")
    assert await desk.depth() == 1


async def test_a_lane_with_work_is_woken_once(desk: UpstreamDesk) -> None:
    """By a worker's take, too; and by whoever comes after it has found nothing."""
    flag = desk.section.anchor + b":wn%d" % desk.lane("token").number
    await desk.login("alice", "token")
    await desk.redis.command("DEL", flag, key=desk.section.anchor)
    await desk.take("token")
    assert await desk.redis.command("EXISTS", flag, key=desk.section.anchor) == 1
    assert not await desk.due("token")
    assert await desk.redis.command("EXISTS", flag, key=desk.section.anchor) == 0


async def test_what_a_late_call_has_made_for_nobody_goes(desk: UpstreamDesk) -> None:
    """The record has gone before its worker tells of success; or of a delete that may yet come."""
    for report in Report.IS, Report.UNKNOWN:
        await desk.login("alice", "token")
        stopped, old = await desk.take("token", lease_ms=1)
        await desk.logout("alice")
        while await desk.record("token"):
            lease, taken = await desk.take("token")
            await desk.gone("token", lease, taken.record)
        if report is Report.IS:
            assert await desk.held("token", stopped, old.record) == 0
        else:
            assert await observed(desk, stopped, old, Verdict.LATER, report) == 0
        assert (await desk.known("token")).doubt > 0
        while await desk.record("token"):
            lease, taken = await desk.take("token")
            assert [trace.attributes.identity for trace in taken.record.traces] in (["alice"], [])
            await desk.gone("token", lease, taken.record)
        assert await desk.depth() == 0


async def test_a_late_word_waits_for_no_delay(desk: UpstreamDesk) -> None:
    """What it is about was put off after a failure, and is due at once: nobody is at it."""
    await desk.login("alice", "token")
    stopped, old = await desk.take("token", lease_ms=1)
    lease, taken = await desk.take("token")
    later = Observation(taken.record, Verdict.LATER, delay_ms=60_000)
    assert await desk.upstream.settle(desk.lane("token"), lease, [later]) == 1
    assert not await desk.due("token")
    assert await desk.held("token", stopped, old.record) == 0
    assert await desk.due("token")
