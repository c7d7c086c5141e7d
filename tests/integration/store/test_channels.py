"""Contract 7: logout is channel-aware; and what the Chat channel of a registration does."""

import pytest

from service.domain.addresses import BindingType
from service.domain.errors import TooManyRequests
from service.domain.events import EventType, Reason
from tests.integration.store.desk import BOTH, CHAT, NOTIFY, Desk


async def test_a_logout_spares_messaging(desk: Desk) -> None:
    """Logging a device, a session or the identity out leaves SMS and Messenger bindings, unless asked for."""
    await desk.login("alice", "+15005550006", kind=BindingType.SMS, session="s1")
    await desk.login("alice", "token", "phone", session="s1")
    await desk.logout("alice", session="s1")
    await desk.logout("alice")
    assert await desk.desired("alice") == {"+15005550006"}
    assert await desk.logout("alice", messaging=True) == 1
    assert await desk.desired("alice") == set()


async def test_a_logout_by_address_takes_messaging_too(desk: Desk) -> None:
    """To name a phone number is to ask for it."""
    await desk.login("alice", "+15005550006", kind=BindingType.SMS)
    assert await desk.logout("alice", address="+15005550006") == 1


async def test_a_device_logout_takes_the_device_and_no_other(desk: Desk) -> None:
    """Other devices of the identity stay."""
    await desk.login("alice", "one", "phone")
    await desk.login("alice", "two", "tablet")
    assert await desk.logout("alice", device="phone") == 1
    assert await desk.desired("alice") == {"two"}


async def test_a_logout_of_somebody_elses_address_ends_nothing(desk: Desk) -> None:
    """An address that belongs to another identity is not touched."""
    await desk.login("bob", "token", "phone")
    assert await desk.logout("alice", address="token") == 0
    assert await desk.logout("alice", device="phone") == 0
    assert await desk.desired("bob") == {"token"}


async def test_a_logout_twice_is_the_same_as_once(desk: Desk) -> None:
    """Logouts are idempotent."""
    await desk.login("alice", "token", "phone")
    assert [await desk.logout("alice", device="phone") for _ in range(2)] == [1, 0]


async def test_chat_comes_and_goes_with_its_registration(desk: Desk) -> None:
    """A registration with the chat channel gets a Chat binding, and a logout takes it away."""
    await desk.login("alice", "token", "phone", channels=BOTH)
    assert await desk.chats("alice") == set()
    await desk.drain()
    assert await desk.chats("alice") == {"alice:phone"}
    await desk.logout("alice", device="phone")
    await desk.drain()
    assert await desk.reading.chat_bindings_of([desk.owner("alice")]) == [[]]
    assert await desk.record("token") is None


async def test_dropping_one_channel_keeps_the_other(desk: Desk) -> None:
    """A logout of Chat alone leaves Notify, and the other way round."""
    await desk.login("alice", "token", "phone", channels=BOTH)
    await desk.drain()
    await desk.logout("alice", device="phone", channels=CHAT)
    await desk.drain()
    assert await desk.applied("alice") == {"token"}
    assert await desk.chats("alice") == set()
    await desk.login("alice", "token", "phone", channels=BOTH)
    await desk.drain()
    await desk.logout("alice", device="phone", channels=NOTIFY)
    await desk.drain()
    assert await desk.applied("alice") == set()
    assert await desk.chats("alice") == {"alice:phone"}


async def test_a_rotated_token_keeps_its_chat_binding_visible(desk: Desk) -> None:
    """The Chat binding of a device lives on through a new token: same identity, endpoint and type."""
    await desk.login("alice", "old", "phone", channels=BOTH)
    await desk.drain()
    await desk.login("alice", "new", "phone", channels=BOTH)
    assert await desk.chats("alice") == {"alice:phone"}
    await desk.drain()
    assert await desk.chats("alice") == {"alice:phone"}
    assert await desk.applied("alice") == {"new"}


async def test_an_endpoint_belongs_to_its_latest_registration(desk: Desk) -> None:
    """The same endpoint registered for another identity leaves the first one's Chat, and spares its Notify."""
    await desk.login("alice", "one", channels=BOTH, endpoint="device-7")
    await desk.login("bob", "two", channels=BOTH, endpoint="device-7")
    assert await desk.chats("alice") == set()
    assert await desk.desired("alice") == {"one"}
    await desk.drain()
    assert await desk.chats("bob") == {"device-7"}
    assert await desk.chats("alice") == set()
    assert await desk.applied("alice") == {"one"}


async def test_an_endpoint_under_gcm_and_then_fcm_is_one_binding(desk: Desk) -> None:
    """A device that changes from gcm to fcm leaves no double behind."""
    await desk.login("alice", "one", "phone", channels=BOTH, endpoint="e", kind=BindingType.GCM)
    await desk.drain()
    await desk.login("alice", "two", "phone", channels=BOTH, endpoint="e", kind=BindingType.FCM)
    await desk.drain()
    [found] = await desk.reading.chat_bindings_of([desk.owner("alice")])
    assert [record.type for record in found or ()] == [BindingType.FCM]


@pytest.mark.parametrize("chat", [False, True])
async def test_deleting_a_binding_takes_out_its_channel_alone(desk: Desk, chat: bool) -> None:
    """Deleting the Notify or the Chat binding by its SID leaves the other, for good."""
    await desk.login("alice", "token", "phone", channels=BOTH)
    await desk.drain()
    record = await desk.record("token")
    assert record is not None
    binding = await desk.reading.chat_binding(record.link) if chat else record
    assert binding is not None
    assert await desk.delete(binding.sid, chat=chat)
    await desk.drain()
    assert await desk.applied("alice") == (set() if not chat else {"token"})
    assert await desk.chats("alice") == ({"alice:phone"} if not chat else set())


async def test_a_chat_binding_that_comes_back_under_another_address_leaves_nothing_behind(desk: Desk) -> None:
    """An endpoint that registers again, before its removal was applied, ends the wait of what was removed."""
    await desk.login("alice", "one", channels=BOTH, endpoint="e")
    await desk.drain()
    await desk.logout("alice", address="one")
    await desk.login("alice", "two", channels=BOTH, endpoint="e")
    await desk.drain()
    assert await desk.chats("alice") == {"e"}
    assert await desk.record("one") is None


async def test_an_endpoint_comes_back_to_a_registration_that_had_lost_it(desk: Desk) -> None:
    """Whoever had the endpoint meanwhile loses it again, though the earlier loss was never applied."""
    await desk.login("alice", "one", channels=BOTH, endpoint="e")
    await desk.login("bob", "two", channels=CHAT, endpoint="e")
    await desk.login("alice", "one", channels=BOTH, endpoint="e")
    assert await desk.desired("bob") == set()
    await desk.drain()
    assert await desk.chats("alice") == {"e"}
    assert await desk.chats("bob") == set()


async def test_a_compatible_create_of_another_kind_keeps_no_device(desk: Desk) -> None:
    """An address that becomes one of messaging has no device and no Chat binding that a logout could miss."""
    await desk.login("alice", "token", "phone", channels=BOTH)
    await desk.drain()
    await desk.login("alice", "token", kind=BindingType.MESSENGER, keep=True, settle=True)
    await desk.logout("alice", device="phone")
    assert await desk.chats("alice") == set()
    record = await desk.record("token")
    assert record is not None
    assert record.extras.device_id is None
    assert record.channels == NOTIFY


async def test_endpoints_without_end_are_refused_before_they_hold_up_the_store(desk: Desk) -> None:
    """While no worker removes them an identity gathers a few hundred Chat bindings, no more; then all go."""
    for n in range(400):
        await desk.login("alice", "token", "phone", channels=BOTH, endpoint=f"e-{n}")
    with pytest.raises(TooManyRequests):
        await desk.login("alice", "token", "phone", channels=BOTH, endpoint="one-more")
    while (await desk.ledgers.sweep()).depth:
        await desk.drain()
    assert await desk.chats("alice") == {"e-399"}
    await desk.login("alice", "token", "phone", channels=BOTH, endpoint="one-more")


async def test_an_endpoint_that_goes_over_with_its_address_is_said_to_be_taken(desk: Desk) -> None:
    """Somebody else logs in on the same device: nothing was rotated."""
    await desk.login("alice", "token", channels=BOTH, endpoint="e")
    await desk.login("bob", "token", channels=BOTH, endpoint="e")
    assert [event.reason for event in await desk.events() if event.type is EventType.REMOVED] == [Reason.TAKEN]
    await desk.drain()
    assert (await desk.chats("alice"), await desk.chats("bob")) == (set(), {"e"})


async def test_devices_and_endpoints_that_are_gone_leave_nothing_to_find_them_by(desk: Desk) -> None:
    """Whatever became of them: another name, another token, another owner, another kind, a logout."""
    await desk.login("alice", "one", "phone", channels=BOTH, endpoint="e-1", kind=BindingType.GCM)
    await desk.login("alice", "one", "phone", channels=BOTH, endpoint="e-1")
    await desk.login("alice", "one", "tablet", channels=BOTH, endpoint="e-2")
    await desk.login("alice", "two", "tablet", channels=BOTH, endpoint="e-2")
    await desk.login("alice", "two", "tablet")
    await desk.login("bob", "two", "watch", channels=BOTH, endpoint="e-3")
    await desk.login("bob", "two", kind=BindingType.SMS)
    for identity in ("alice", "bob"):
        await desk.logout(identity, messaging=True)
    await desk.drain()
    anchor = desk.section.anchor
    assert await desk.redis.command("KEYS", anchor + b":[kpr]?*", key=anchor) == []


async def test_a_removal_is_of_what_its_caller_means(desk: Desk) -> None:
    """Not of another's binding, nor of a registration that has come since, nor of one that has gone."""
    first = await desk.login("alice", "token", "phone", channels=BOTH, settle=True)
    assert first.chat is not None
    remove, bobs = desk.registrations.remove_binding, desk.owner("bob")
    assert not (await remove(first.chat.sid, CHAT, owner=bobs, at_once=BOTH))[0]
    print_, generation = first.record.fingerprint, first.record.generation
    assert await desk.registrations.remove(print_, BOTH, Reason.PUSH_OFF, owner=bobs) == (False, b"")
    await desk.login("alice", "token", "phone", channels=BOTH, tags=("new",), settle=True)
    assert await desk.registrations.remove(print_, BOTH, Reason.PUSH_OFF, generation=generation) == (False, b"")
    assert await desk.desired("alice") == {"token"}
    assert (await desk.registrations.remove(print_, BOTH, Reason.PUSH_OFF, owner=desk.owner("alice")))[0]
    assert await desk.registrations.remove(print_, BOTH, Reason.PUSH_OFF) == (False, b"")
