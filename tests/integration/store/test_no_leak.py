"""Contract 2: once answered, nothing shows an address to its former identity, however far behind the workers are."""

from service.domain.record import Channel, Record
from tests.integration.store.desk import BOTH, Desk, verdict


def shown(record: Record | None, channel: Channel = Channel.NOTIFY) -> bool:
    return record is not None and record.visible(channel) is not None


async def test_after_a_takeover(desk: Desk) -> None:
    """Before any worker runs, neither lookups nor the Notify and Chat routes show the former owner anything."""
    await desk.login("alice", "token", "phone", channels=BOTH)
    await desk.drain()
    old = await desk.record("token")
    assert old is not None
    await desk.login("bob", "token", "phone")
    assert await desk.desired("alice") == set()
    assert await desk.applied("alice") == set()
    assert await desk.chats("alice") == set()
    assert not shown(await desk.record("token"))
    assert not shown(await desk.reading.chat_binding(old.link), Channel.CHAT)


async def test_after_a_logout(desk: Desk) -> None:
    """The same holds after a logout."""
    await desk.login("alice", "token", "phone", channels=BOTH)
    await desk.drain()
    old = await desk.record("token")
    assert old is not None
    assert await desk.logout("alice", device="phone") == 1
    assert await desk.desired("alice") == await desk.applied("alice") == await desk.chats("alice") == set()
    assert not shown(await desk.record("token"))
    assert not shown(await desk.reading.chat_binding(old.link), Channel.CHAT)
    assert await desk.addresses() == {}


async def test_a_worker_that_settles_late_brings_nothing_back(desk: Desk) -> None:
    """A worker that took an entry before the logout settles after it: nothing becomes visible."""
    await desk.login("alice", "token", "phone")
    lane = desk.lane("token")
    lease = await desk.ledgers.take(lane, 10, 30_000)
    assert lease is not None
    await desk.logout("alice", device="phone")
    settled = await desk.ledgers.settle(lane, lease.token, [verdict(r) for r in lease.records])
    assert settled == 0
    assert await desk.applied("alice") == set()
    await desk.drain()
    assert await desk.record("token") is None


async def test_a_replaced_binding_is_not_found_by_its_sid(desk: Desk) -> None:
    """The SID of a replaced binding leads nowhere, and cannot delete what replaced it."""
    first = await desk.login("alice", "token", settle=True, keep=True)
    second = await desk.login("bob", "token", settle=True, keep=True)
    assert first.record.sid != second.record.sid
    assert not await desk.delete(first.record.sid)
    assert await desk.applied("bob") == {"token"}


async def test_a_pending_change_by_the_same_owner_leaves_the_applied_one_visible(desk: Desk) -> None:
    """An owner's own pending change hides nothing: the last applied version shows until the new one is applied."""
    await desk.login("alice", "token", "phone", tags=("old",))
    await desk.drain()
    before = await desk.record("token")
    await desk.login("alice", "token", "phone", tags=("new",))
    pending = await desk.record("token")
    assert before is not None
    assert pending is not None
    assert pending.visible(Channel.NOTIFY) == before.visible(Channel.NOTIFY)
    assert pending.attributes.tags == ("new",)
    await desk.drain()
    after = await desk.record("token")
    assert after is not None
    visible = after.visible(Channel.NOTIFY)
    assert visible is not None
    assert visible.attributes.tags == ("new",)
