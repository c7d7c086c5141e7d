"""Contract 5: at most 20 Notify registrations for an identity, at any instant and under any concurrency."""

import asyncio
from collections.abc import Callable

import pytest

from service.domain.errors import BinderyError, CapReached
from service.domain.events import Reason
from service.domain.limits import PER_IDENTITY
from tests.integration.store.desk import BOTH, CHAT, Desk


async def fill(desk: Desk, identity: str = "alice", count: int = 20) -> None:
    for n in range(count):
        await desk.login(identity, f"{identity}-{n}")


async def test_the_twenty_first_is_refused(desk: Desk) -> None:
    """The 21st address is refused and changes nothing."""
    await fill(desk)
    before = await desk.desired("alice")
    with pytest.raises(CapReached):
        await desk.login("alice", "one-more")
    assert await desk.desired("alice") == before
    assert await desk.record("one-more") is None


async def test_updates_and_rotations_do_not_count(desk: Desk) -> None:
    """At the cap, the same address updates and a device's new token takes its old one's place."""
    await fill(desk, count=19)
    await desk.login("alice", "mine", "phone")
    await desk.login("alice", "mine", "phone", tags=("vip",))
    await desk.login("alice", "new", "phone")
    assert len(await desk.desired("alice")) == 20


async def test_chat_only_registrations_do_not_count(desk: Desk) -> None:
    """Chat-only registrations are beside the cap, until they ask for Notify."""
    await desk.login("alice", "chat", "phone", channels=CHAT)
    await fill(desk)
    assert len(await desk.desired("alice")) == 21
    with pytest.raises(CapReached):
        await desk.login("alice", "chat", "phone", channels=BOTH)


async def test_no_identity_has_registrations_without_end(desk: Desk) -> None:
    """Those beside the cap have a bound of their own: what one lookup shows stays bounded."""
    await asyncio.gather(*(desk.login("alice", f"a-{n}", channels=CHAT) for n in range(PER_IDENTITY)))
    with pytest.raises(CapReached):
        await desk.login("alice", "one-more", channels=CHAT)
    await desk.login("alice", "a-0", channels=CHAT, tags=("vip",))
    assert len(await desk.desired("alice")) == PER_IDENTITY


async def test_however_many_chat_only_ones_block_no_login_where_the_oldest_give_way(desks: Callable[..., Desk]) -> None:
    """They are not counted by the cap, but an identity has 200 registrations in all."""
    desk = desks(replace_oldest=True)
    for n in range(200):
        await desk.login("alice", f"chat-{n}", f"device-{n}", channels=CHAT, endpoint=f"e-{n}")
    await desk.age("chat-7", 7200)
    await desk.login("alice", "new", "new")
    desired = await desk.desired("alice")
    assert ("new" in desired, "chat-7" in desired, len(desired)) == (True, False, 200)


async def test_a_hundred_at_once(desk: Desk) -> None:
    """A hundred addresses at once: twenty are taken, eighty refused."""
    results = await asyncio.gather(*(desk.login("alice", f"a-{n}") for n in range(100)), return_exceptions=True)
    assert sum(isinstance(r, CapReached) for r in results) == 80
    assert not [r for r in results if isinstance(r, BaseException) and not isinstance(r, BinderyError)]
    assert len(await desk.desired("alice")) == 20


async def test_a_hundred_at_once_where_the_oldest_give_way(desks: Callable[..., Desk]) -> None:
    """None is refused: twenty are left, and of each other one it is told that it was evicted."""
    desk = desks(replace_oldest=True)
    await asyncio.gather(*(desk.login("alice", f"a-{n}") for n in range(100)))
    left = await desk.desired("alice")
    assert len(left) == 20
    evicted = [(e.registration_id or "")[:24] for e in await desk.events() if e.reason is Reason.EVICTED]
    assert len(evicted) == 80
    assert set(evicted) == {desk.fingerprint(f"a-{n}").hex() for n in range(100) if f"a-{n}" not in left}


async def test_replace_oldest_evicts_the_least_recently_seen(desks: Callable[..., Desk]) -> None:
    """With `replace-oldest` the 21st evicts the oldest, and the event says so."""
    desk = desks(replace_oldest=True)
    await fill(desk)
    await desk.login("alice", "one-more")
    held = await desk.desired("alice")
    assert len(held) == 20
    assert "one-more" in held
    assert "alice-0" not in held
    assert [e.reason for e in await desk.events() if e.reason] == [Reason.EVICTED]
    await desk.age("alice-7", 7200)
    await desk.login("alice", "another")
    assert {"alice-1", "another"} < await desk.desired("alice")
    assert "alice-7" not in await desk.desired("alice")


async def test_the_cap_is_never_a_state_that_blocks_logins(desk: Desk) -> None:
    """Once one is logged out, the next registers."""
    await fill(desk)
    await desk.logout("alice", address="alice-3")
    await desk.login("alice", "one-more")
    assert len(await desk.desired("alice")) == 20


async def test_a_takeover_counts_for_the_taker(desk: Desk) -> None:
    """An address taken from another identity counts for the new owner and no longer for the former."""
    await fill(desk)
    await desk.login("bob", "alice-0")
    await desk.login("alice", "one-more")
    assert len(await desk.desired("alice")) == 20
