"""What the store remembers of an upstream: lost answers, late calls and dead workers, each by its point in time."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.record import State
from service.domain.upstream import identities
from service.redis import Redis
from service.store.ledger import Verdict
from service.store.registrations import Outcome
from service.store.upstream_ledger import Observation, Report
from tests.integration.store.desk import NOTIFY, Desk
from tests.integration.store.upstream_desk import LONGEST_MS, UpstreamDesk, new_sid, seen


@pytest.fixture
async def desk(redis: Redis) -> UpstreamDesk:
    return UpstreamDesk(redis)


async def test_what_the_upstream_holds_is_shown_under_its_sid(desk: UpstreamDesk) -> None:
    """Its SID leads to the registration, in fetch and delete, and the ledger is empty."""
    sid = await desk.apply("alice", "token")
    record = await desk.known("token")
    visible = record.visible(NOTIFY)
    assert visible is not None
    assert (record.notify, record.doubt, visible.sid, record.visible_sid(NOTIFY)) == (State.APPLIED, 0, sid, sid)
    found = await desk.reading.binding(sid)
    assert found is not None
    assert found.address == "token"
    assert await desk.depth() == 0
    assert await desk.delete(sid)
    assert await desk.desired("alice") == set()


async def test_a_service_without_upstream_keeps_its_layout(redis: Redis) -> None:
    """What an upstream needs to be remembered costs others no byte."""
    desk = Desk(redis)
    await desk.login("alice", "token")
    await desk.drain()
    record = await desk.record("token")
    assert record is not None
    assert record.layout == 1


async def test_a_lost_answer_is_in_doubt_until_it_can_no_longer_matter(desk: UpstreamDesk) -> None:
    """Rows 2, 3, 5: it is looked at once before it is tried again, and once more when nothing late can come."""
    await desk.login("alice", "token")
    lease, taken = await desk.take("token")
    await desk.unknown("token", lease, taken.record)
    lease, taken = await desk.take("token")
    assert taken.record.doubt - lease.began <= LONGEST_MS
    assert taken.record.doubt > lease.began
    assert taken.record.attempts == 1
    sid = new_sid()
    assert await desk.held("token", lease, taken.record, sid) == 1
    record = await desk.known("token")
    assert (record.notify, record.doubt > 0) == (State.APPLIED, True)
    assert (await desk.login("alice", "token")).outcome is Outcome.UNCHANGED
    lease, taken = await desk.take("token")
    assert lease.began >= taken.record.doubt > 0
    assert await desk.held("token", lease, taken.record, sid) == 1
    record = await desk.known("token")
    assert (record.doubt, await desk.depth()) == (0, 0)


async def test_a_worker_that_died_leaves_a_doubt(desk: UpstreamDesk) -> None:
    """Rows 1 to 3, 14: a lease that ran out may have sent anything; what was applied stays visible meanwhile."""
    await desk.apply("alice", "token")
    await desk.login("alice", "token", tags=("new",))
    await desk.take("token", lease_ms=1)
    lease, taken = await desk.take("token")
    assert taken.record.doubt > lease.began
    assert (await desk.applied("alice")) == {"token"}


async def test_a_mark_breaks_no_lease(desk: UpstreamDesk) -> None:
    """Row 13, 20: a change under a worker's call waits for the call's end, and is due right then."""
    await desk.login("alice", "token", tags=("one",))
    lease, taken = await desk.take("token")
    await desk.login("alice", "token", tags=("two",))
    assert not await desk.due("token")
    sid = new_sid()
    assert await desk.held("token", lease, taken.record, sid) == 0
    lease, taken = await desk.take("token")
    assert taken.record.attributes.tags == ("two",)
    assert taken.record.doubt == 0
    assert [(t.sid, t.attributes.tags) for t in taken.record.traces] == [(sid, ("one",))]


async def test_a_mark_keeps_the_evidence_of_a_lost_lease(desk: UpstreamDesk) -> None:
    """A registration that comes after a worker's death, and before anyone noticed, is in doubt all the same."""
    await desk.login("alice", "token", tags=("one",))
    died, _ = await desk.take("token", lease_ms=1)
    await desk.pass_by(died.began + 2)
    await desk.login("alice", "token", tags=("two",))
    lease, taken = await desk.take("token")
    assert taken.record.doubt > lease.began


async def test_a_settlement_that_is_repeated_changes_nothing(desk: UpstreamDesk) -> None:
    """Row 4: its first answer was lost; what it tells is known."""
    await desk.login("alice", "token")
    lease, taken = await desk.take("token")
    sid = new_sid()
    assert await desk.held("token", lease, taken.record, sid) == 1
    assert await desk.held("token", lease, taken.record, sid) == 0
    record = await desk.known("token")
    assert (record.notify, record.doubt, await desk.depth()) == (State.APPLIED, 0, 0)
    await desk.logout("alice")
    lease, taken = await desk.take("token")
    assert await desk.gone("token", lease, taken.record) == 1
    assert await desk.gone("token", lease, taken.record) == 0
    assert await desk.record("token") is None
    assert await desk.depth() == 0
    keys: Any = await desk.redis.command("KEYS", f"{{{desk.sid}}}:a*", key=desk.section.anchor)
    assert keys == []


async def test_a_worker_that_wakes_late_is_looked_after(desk: UpstreamDesk) -> None:
    """Row 9a: its call raced with another's; the record is in doubt, and both identities are looked at."""
    await desk.login("alice", "token")
    stopped, old = await desk.take("token", lease_ms=1)
    await desk.login("bob", "token")
    lease, taken = await desk.take("token")
    assert set(identities(taken.record)) == {"alice", "bob"}
    await desk.held("token", lease, taken.record)
    lease, taken = await desk.take("token")
    await desk.held("token", lease, taken.record)
    assert await desk.depth() == 0
    assert await desk.held("token", stopped, old.record) == 0
    lease, taken = await desk.take("token")
    assert taken.record.doubt > lease.began
    assert taken.record.notify == State.UNKNOWN
    assert set(identities(taken.record)) == {"alice", "bob"}


async def test_a_late_worker_of_what_nobody_wants_any_more(desk: UpstreamDesk) -> None:
    """Row 10b: the record is gone; what the worker may have made is deleted all the same."""
    await desk.login("alice", "token")
    stopped, old = await desk.take("token", lease_ms=1)
    await desk.login("bob", "token")
    await desk.logout("bob")
    for _ in range(2):
        lease, taken = await desk.take("token")
        assert set(identities(taken.record)) == {"alice", "bob"}
        assert await desk.gone("token", lease, taken.record) == 1
    assert await desk.record("token") is None
    await desk.unknown("token", stopped, old.record)
    record = await desk.known("token")
    assert (record.channels, record.notify) == (0, State.PENDING)
    assert identities(record) == ["alice"]
    assert await desk.desired("alice") == set()
    for _ in range(2):
        lease, taken = await desk.take("token")
        assert await desk.gone("token", lease, taken.record) == 1
    assert await desk.record("token") is None
    assert await desk.depth() == 0


async def test_whoever_may_hold_the_address_is_remembered_through_takeovers(desk: UpstreamDesk) -> None:
    """Row 11: a lost create for one, a second whose call is under way, then a third: all three are listed.

    Who came and went untold in between is not: however many, they push out nobody who may hold it.
    """
    await desk.login("alice", "token")
    lease, taken = await desk.take("token")
    await desk.unknown("token", lease, taken.record)
    for n in range(20):
        await desk.login(f"untold-{n}", "token")
    await desk.login("bob", "token")
    await desk.take("token")
    await desk.login("carol", "token")
    await desk.logout("carol")
    record = await desk.known("token")
    assert set(identities(record)) == {"alice", "bob", "carol"}


async def test_what_no_upstream_was_told_of_needs_no_telling(desk: UpstreamDesk) -> None:
    """An outage's logins and logouts leave nothing behind."""
    await desk.login("alice", "token", "phone")
    await desk.logout("alice", device="phone")
    assert await desk.record("token") is None


async def test_a_removal_knows_who_comes_in_its_place(desk: UpstreamDesk) -> None:
    """Row 17: of a rotated token the worker sees the new one's state; a logout has none."""
    await desk.apply("alice", "old", "phone")
    await desk.login("alice", "new", "phone")
    _, taken = await desk.take("old")
    assert taken.successor is not None
    assert (taken.successor.notify, taken.successor.address) == (State.PENDING, "new")
    await desk.apply("bob", "other", "tablet")
    await desk.logout("bob")
    _, taken = await desk.take("other")
    assert taken.successor is None


async def test_an_upstream_without_room_is_told_of(desk: UpstreamDesk) -> None:
    """Row 18: the old binding need not wait for the one that there is no room for."""
    await desk.login("alice", "token")
    for tries in (1, 2):
        lease, taken = await desk.take("token")
        await desk.upstream.settle(desk.lane("token"), lease, [Observation(taken.record, Verdict.LATER)])
        lease, taken = await desk.take("token")
        assert taken.record.attempts == tries
        await desk.upstream.settle(desk.lane("token"), lease, [Observation(taken.record, Verdict.FULL)])
        lease, taken = await desk.take("token")
        # What it had failed before is no try of these.
        assert (taken.record.full, taken.record.attempts) == (True, 1 if tries == 1 else 3)
        await desk.upstream.settle(desk.lane("token"), lease, [Observation(taken.record, Verdict.BACK)])
    lease, taken = await desk.take("token")
    await desk.held("token", lease, taken.record)
    assert not (await desk.known("token")).full


async def test_a_dead_letter_in_doubt_is_looked_at_again(desk: UpstreamDesk) -> None:
    """What was refused may follow a create that is yet to land: it stays owed until that cannot be."""
    await desk.login("alice", "token")
    lease, taken = await desk.take("token")
    await desk.unknown("token", lease, taken.record)
    for _ in range(2):
        lease, taken = await desk.take("token")
        dead = Observation(taken.record, Verdict.DEAD, Report.IS, reason="400/20001 no")
        await desk.upstream.settle(desk.lane("token"), lease, [dead])
        [letter] = await desk.ledgers.dead_letters()
        assert letter.reason == "400/20001 no"
    assert await desk.depth() == 0
    assert (await desk.known("token")).notify == State.FAILED


async def test_a_sweep_after_the_clock_was_set_back_keeps_the_evidence(desk: UpstreamDesk) -> None:
    """A lease that the old clock put off for an hour is due, and still known to be one."""
    await desk.login("alice", "token")
    await desk.take("token", lease_ms=3_600_000)
    await desk.ledgers.sweep()
    lease, taken = await desk.take("token")
    assert taken.record.doubt > lease.began


async def test_a_new_version_keeps_the_old_sid_until_it_is_applied(desk: UpstreamDesk) -> None:
    """The last applied version stays visible under the upstream's SID; then its SID leads nowhere."""
    old = await desk.apply("alice", "token")
    await desk.login("alice", "token", tags=("new",))
    visible = (await desk.known("token")).visible(NOTIFY)
    assert visible is not None
    assert (visible.sid, visible.attributes.tags) == (old, ())
    lease, taken = await desk.take("token")
    new = new_sid()
    await desk.held("token", lease, taken.record, new)
    found = await desk.reading.binding(new)
    assert found is not None
    assert await desk.reading.binding(old) is None


async def test_a_binding_that_was_seen_is_its_identitys_only_trace(desk: UpstreamDesk) -> None:
    """What was in doubt of the same identity is one with what a list has shown."""
    await desk.login("alice", "token")
    lease, taken = await desk.take("token")
    await desk.unknown("token", lease, taken.record)
    await desk.login("bob", "token")
    lease, taken = await desk.take("token")
    report = Observation(taken.record, Verdict.LATER, Report.IS, seen(new_sid(), "alice"))
    await desk.upstream.settle(desk.lane("token"), lease, [report])
    assert [bool(t.sid) for t in (await desk.known("token")).traces] == [True]
