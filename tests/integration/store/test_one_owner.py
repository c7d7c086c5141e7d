"""Contract 1: in a Service an address belongs to at most one identity."""

import asyncio

import pytest

from service.domain.addresses import BindingType
from service.domain.errors import BinderyError, CapReached
from service.domain.events import EventType, Reason
from service.domain.sids import user_sid
from service.store.registrations import Outcome
from tests.integration.store.desk import BOTH, NOTIFY, Desk


async def test_a_second_login_takes_the_address_from_the_first(desk: Desk) -> None:
    """A second login takes the address from the first."""
    await desk.login("alice", "token", "phone")
    await desk.login("bob", "token", "phone")
    assert await desk.desired("alice") == set()
    assert await desk.desired("bob") == {"token"}
    assert await desk.addresses() == {"token": "bob"}


async def test_there_and_back_again(desk: Desk) -> None:
    """A→B→A ends with A, and each step is applied."""
    for identity in ("alice", "bob", "alice"):
        await desk.login(identity, "token", "phone")
        await desk.drain()
    assert await desk.applied("alice") == {"token"}
    assert await desk.applied("bob") == set()


@pytest.mark.parametrize("drained", [False, True])
async def test_create_after_delete(desk: Desk, drained: bool) -> None:
    """An address registers again after its removal, applied or not."""
    await desk.login("alice", "token", "phone")
    await desk.logout("alice", device="phone")
    if drained:
        await desk.drain()
    again = await desk.login("alice", "token", "phone")
    await desk.drain()
    assert again.outcome is Outcome.ACCEPTED
    assert await desk.applied("alice") == {"token"}


async def test_a_new_token_replaces_the_old_one_of_the_device(desk: Desk) -> None:
    """A rotated token replaces the old one in place."""
    await desk.login("alice", "old", "phone")
    await desk.drain()
    done = await desk.login("alice", "new", "phone")
    assert done.displaced == 1
    assert await desk.desired("alice") == {"new"}
    await desk.drain()
    assert await desk.record("old") is None


async def test_a_new_token_replaces_the_old_one_though_the_identity_changed_with_it(desk: Desk) -> None:
    """A device that comes back with another token and another identity leaves nothing with the former one."""
    await desk.login("alice", "old", "phone", channels=BOTH)
    await desk.drain()
    await desk.login("bob", "new", "phone")
    assert await desk.desired("alice") == set()
    assert await desk.chats("alice") == set()
    assert await desk.desired("bob") == {"new"}


async def test_the_same_token_with_a_new_device_id(desk: Desk) -> None:
    """A reinstalled app keeps its token and gets a new device id: one registration, and the old id owns nothing."""
    await desk.login("alice", "token", "before")
    await desk.login("alice", "token", "after")
    await desk.login("bob", "other", "before")
    assert await desk.desired("alice") == {"token"}


async def test_apple_and_google_tokens_of_one_device_live_side_by_side(desk: Desk) -> None:
    """The device pointer is kept per kind: a device may have an APNs and an FCM registration."""
    await desk.login("alice", "ab" * 32, "phone", kind=BindingType.APN)
    await desk.login("alice", "token", "phone")
    assert await desk.desired("alice") == {"ab" * 32, "token"}


async def test_gcm_to_fcm_is_one_registration(desk: Desk) -> None:
    """The same device under gcm and then fcm is a rotation."""
    await desk.login("alice", "old", "phone", kind=BindingType.GCM)
    await desk.login("alice", "new", "phone", kind=BindingType.FCM)
    assert await desk.desired("alice") == {"new"}


async def test_an_address_is_one_whatever_its_type(desk: Desk) -> None:
    """The same address under another type replaces, as in the Notify reference."""
    await desk.login("alice", "ab" * 32, kind=BindingType.APN)
    await desk.login("bob", "ab" * 32, kind=BindingType.FCM)
    assert await desk.addresses() == {"ab" * 32: "bob"}


async def test_a_stale_device_pointer_displaces_nobody(desk: Desk) -> None:
    """A device that no longer holds an address takes nothing from its new owner when it rotates."""
    await desk.login("alice", "token", "phone")
    await desk.login("bob", "token", "tablet")
    await desk.login("alice", "new", "phone")
    assert await desk.desired("bob") == {"token"}


async def test_many_at_once_leave_one_owner(desk: Desk) -> None:
    """Fifty identities racing for one address: exactly one ends up with it."""
    await asyncio.gather(*(desk.login(f"user-{n}", "token", "phone") for n in range(50)))
    owners = [n for n in range(50) if await desk.desired(f"user-{n}")]
    assert len(owners) == 1
    assert await desk.addresses() == {"token": f"user-{owners[0]}"}


async def test_a_takeover_tells_of_both_identities(desk: Desk) -> None:
    """The event of a takeover names the former owner; that of a displaced device the new one."""
    await desk.login("alice", "token", "phone")
    await desk.login("bob", "token", "phone")
    await desk.login("carol", "new", "phone")
    alice, bob, carol = (user_sid(desk.owner(name)) for name in ("alice", "bob", "carol"))
    events = await desk.events()
    taken = [e for e in events if e.type is EventType.REGISTERED and e.other_user_sid]
    assert [(e.user_sid, e.other_user_sid) for e in taken] == [(bob, alice)]
    removed = [e for e in events if e.type is EventType.REMOVED]
    assert [(e.user_sid, e.other_user_sid, e.reason) for e in removed] == [(bob, carol, Reason.TAKEN)]


async def test_a_compatible_create_keeps_what_only_we_know(desk: Desk) -> None:
    """For the same identity a compatible create keeps device, session and Chat; for another it clears them."""
    await desk.login("alice", "token", "phone", channels=BOTH, session="s1")
    await desk.drain()
    await desk.login("alice", "token", keep=True, settle=True, tags=("vip",))
    assert await desk.chats("alice") == {"alice:phone"}
    record = await desk.record("token")
    assert record is not None
    assert record.extras.device_id == "phone"
    assert record.attributes.tags == ("vip",)
    await desk.login("bob", "token", keep=True, settle=True)
    record = await desk.record("token")
    assert record is not None
    assert record.extras.device_id is None
    assert record.channels == NOTIFY
    assert await desk.chats("alice") == set()


async def test_a_refused_request_takes_nothing(desk: Desk) -> None:
    """A registration that is refused over the cap leaves the address, and the device's old one, where they were."""
    for n in range(20):
        await desk.login("bob", f"bob-{n}")
    await desk.login("alice", "token", "phone")
    with pytest.raises(CapReached):
        await desk.login("bob", "token", "phone")
    assert await desk.desired("alice") == {"token"}


async def test_two_addresses_of_one_fingerprint_are_never_taken_for_one(desk: Desk) -> None:
    """It will not happen; if it does, the later one is refused, and the earlier keeps its owner."""
    await desk.login("alice", "token", settle=True)
    await desk.rewrite("token", lambda raw: raw.replace(b"token", b"other"))
    for identity in ("alice", "bob"):
        with pytest.raises(BinderyError, match="fingerprint"):
            await desk.login(identity, "token")
    assert await desk.applied("alice") == {"other"}
    assert await desk.applied("bob") == set()
