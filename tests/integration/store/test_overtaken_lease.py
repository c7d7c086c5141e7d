"""A registration changes, without a new mark, under a worker that holds its lease: nobody waits for the lease's end."""

from __future__ import annotations

from service.domain.record import State
from tests.integration.store.desk import BOTH, CHAT, Desk, verdict

LEASE_MS = 30_000


async def test_a_change_of_the_other_channel_does_not_hold_notify_up(desk: Desk) -> None:
    """Chat goes while a worker is at Notify: its settlement does not match, and the entry is due again at once."""
    await desk.login("alice", "token", "phone", channels=BOTH)
    lane = desk.lane("token")
    lease = await desk.ledgers.take(lane, 10, LEASE_MS)
    assert lease is not None
    assert await desk.logout("alice", device="phone", channels=CHAT) == 1
    assert await desk.ledgers.settle(lane, lease.token, [verdict(r) for r in lease.records]) == 0
    await desk.drain()
    record = await desk.record("token")
    assert record is not None
    assert record.notify == State.APPLIED


async def test_nothing_stays_owed_for_what_a_compatible_route_has_settled(desk: Desk) -> None:
    """A compatible write settles beneath the lease: the ledger is empty as soon as the worker has looked again."""
    for settled_by_delete in (False, True):
        await desk.login("alice", "token", "phone")
        lane = desk.lane("token")
        lease = await desk.ledgers.take(lane, 10, LEASE_MS)
        assert lease is not None
        written = await desk.login("alice", "token", tags=("new",), keep=True, settle=True)
        if settled_by_delete:
            visible = written.record.visible(BOTH & ~CHAT)
            assert visible is not None
            assert await desk.delete(visible.sid)
        await desk.ledgers.settle(lane, lease.token, [verdict(r) for r in lease.records])
        await desk.drain()
        assert (await desk.ledgers.sweep()).depth == 0
