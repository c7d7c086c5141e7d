"""Contract 3 and 4: the last request wins whatever order jobs run in, and the ledger forgets nothing."""

import asyncio

import pytest

from service.domain.jobs import Ledger
from service.domain.record import State
from service.store.ledger import Settlement, Verdict
from tests.integration.store.desk import BOTH, Desk, verdict


async def test_one_wake_up_for_many_registrations(desk: Desk) -> None:
    """While a lane's job is on its way, further registrations in the lane ask for none."""
    wakes = [(await desk.login("alice", "token", tags=(str(n),))).wake for n in range(10)]
    assert wakes[0] != b""
    assert set(wakes[1:]) == {b""}


async def test_a_registration_during_a_drain_is_not_missed(desk: Desk) -> None:
    """The take that finds nothing clears the flag in the same step: what comes after it asks for a job."""
    await desk.login("alice", "token")
    await desk.drain()
    assert (await desk.login("alice", "token", tags=("new",))).wake != b""


async def test_settling_an_old_version_changes_nothing(desk: Desk) -> None:
    """A change made while a worker is at it wins: the worker's settlement does not match, and the entry stays due."""
    await desk.login("alice", "token", tags=("one",))
    lane = desk.lane("token")
    lease = await desk.ledgers.take(lane, 10, 30_000)
    assert lease is not None
    await desk.login("alice", "token", tags=("two",))
    stale = [verdict(r) for r in lease.records]
    assert await desk.ledgers.settle(lane, lease.token, stale) == 0
    record = await desk.record("token")
    assert record is not None
    assert record.notify == State.PENDING
    await desk.drain()
    record = await desk.record("token")
    assert record is not None
    assert record.notify == State.APPLIED
    assert record.attributes.tags == ("two",)


async def test_a_lease_keeps_others_off_until_it_ends(desk: Desk) -> None:
    """A leased entry is nobody else's; when the lease has run out it is taken again and the first settles nothing."""
    await desk.login("alice", "token")
    lane = desk.lane("token")
    first = await desk.ledgers.take(lane, 10, 200)
    assert first is not None
    assert await desk.ledgers.take(lane, 10, 200) is None
    second = None
    while second is None:
        second = await desk.ledgers.take(lane, 10, 30_000)
    old, new = [verdict(r) for r in first.records], [verdict(r) for r in second.records]
    assert await desk.ledgers.settle(lane, first.token, old) == 0
    assert await desk.ledgers.settle(lane, second.token, new) == 1


async def test_the_sweep_finds_what_nobody_was_woken_for(desk: Desk) -> None:
    """Lost wake-ups cost time, never work: the sweep wakes every lane with overdue work."""
    await asyncio.gather(*(desk.login(f"user-{n}", f"token-{n}", channels=BOTH) for n in range(40)))
    woken = b""
    while not woken:
        state = await desk.ledgers.sweep()
        woken = state.wake
    assert state.depth == 80
    assert len(woken) // 2 > 1
    await desk.drain()
    state = await desk.ledgers.sweep()
    assert (state.wake, state.depth) == (b"", 0)


async def test_the_sweep_tells_what_is_due_and_how_late(desk: Desk) -> None:
    """Of each ledger by itself; what is leased is owed and not due, and a lane without due work is not woken."""
    await desk.login("alice", "token", "phone", channels=BOTH)
    assert await desk.ledgers.take_chat(desk.chat_lane("alice"), 10, 30_000)
    for flag in (desk.lane("token"), desk.chat_lane("alice")):
        name = f"{desk.section.anchor.decode()}:w{flag.ledger.value}{flag.number}"
        await desk.redis.command("DEL", name, key=desk.section.anchor)
    marked = (await desk.now()) * 1000 - 5000
    lane = f"{desk.section.anchor.decode()}:n{desk.lane('token').number}"
    await desk.redis.command("ZADD", lane, marked, desk.fingerprint("token"), key=desk.section.anchor)
    state = await desk.ledgers.sweep()
    notify, chat = state.ledgers[Ledger.NOTIFY], state.ledgers[Ledger.CHAT]
    assert (notify.depth, notify.due, notify.oldest_ms >= 5000) == (1, 1, True)
    assert (chat.depth, chat.due, chat.oldest_ms) == (1, 0, 0)
    assert state.wake == f"n{desk.lane('token').number}".encode()
    assert (await desk.ledgers.sweep()).wake == b""


@pytest.mark.parametrize("chat", [False, True])
async def test_work_is_not_put_off_by_a_clock_that_was_set_back(desk: Desk, *, chat: bool) -> None:
    """What was marked, leased and flagged when the store's clock showed an hour more is found by the next sweep."""
    await desk.login("alice", "token", "phone", channels=BOTH)
    lane = desk.chat_lane("alice") if chat else desk.lane("token")
    name, member = f"{lane.ledger.value}{lane.number}", desk.owner("alice") if chat else desk.fingerprint("token")
    anchor = desk.section.anchor
    in_an_hour = await desk.now() * 1000 + 3_600_000
    await desk.redis.command("ZADD", f"{anchor.decode()}:{name}", in_an_hour, member, key=anchor)
    await desk.redis.command("SET", f"{anchor.decode()}:w{name}", "1", "PX", 3_602_000, key=anchor)
    state = await desk.ledgers.sweep()
    assert name in [state.wake[n : n + 2].decode() for n in range(0, len(state.wake), 2)]
    assert 0 <= state.oldest_ms < 3_600_000
    await desk.drain()
    assert (await desk.ledgers.sweep()).depth == 0


async def test_a_failure_comes_back_later(desk: Desk) -> None:
    """What failed is due again after its delay, with one more attempt counted."""
    await desk.login("alice", "token")
    lane = desk.lane("token")
    lease = await desk.ledgers.take(lane, 10, 30_000)
    assert lease is not None
    [record] = lease.records
    later = [Settlement(record.fingerprint, record.version, Verdict.LATER, delay_ms=100)]
    await desk.ledgers.settle(lane, lease.token, later)
    assert await desk.ledgers.take(lane, 10, 30_000) is None
    again = None
    while again is None:
        again = await desk.ledgers.take(lane, 10, 30_000)
    assert [r.attempts for r in again.records] == [1]


async def test_chat_and_notify_do_not_hold_each_other_up(desk: Desk) -> None:
    """Each channel has a ledger of its own: Notify is applied while Chat is leased and stuck."""
    await desk.login("alice", "token", "phone", channels=BOTH)
    assert await desk.ledgers.take_chat(desk.chat_lane("alice"), 10, 30_000) is not None
    await desk.drain()
    assert await desk.applied("alice") == {"token"}
    assert await desk.chats("alice") == set()


async def test_a_chat_settlement_of_a_lost_lease_is_void(desk: Desk) -> None:
    """An identity that was marked anew while a worker was at it stays due, and loses nothing."""
    await desk.login("alice", "one", "phone", channels=BOTH)
    lane = desk.chat_lane("alice")
    taken = await desk.ledgers.take_chat(lane, 10, 30_000)
    assert taken is not None
    token, [work] = taken
    await desk.login("alice", "two", "tablet", channels=BOTH)
    stale = [Settlement(r.fingerprint, r.version, Verdict.HELD) for r in work.records]
    assert not await desk.ledgers.settle_chat(lane, token, work.owner, stale, external=False)
    await desk.drain()
    assert await desk.chats("alice") == {"alice:phone", "alice:tablet"}
