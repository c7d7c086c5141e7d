"""Lines of an archive, on one server and on a Cluster: every key is in its Service's slot."""

from __future__ import annotations

import msgspec

from service.domain.addresses import BindingType
from service.domain.archive import ChatLine, ChatPart, RegistrationLine
from service.domain.record import Channel
from service.store.archives import Archives, Restored
from service.store.places import Place
from tests.integration.store.desk import CHAT, NOTIFY, Desk


def archives(desk: Desk) -> Archives:
    """What archives may write here."""
    return Archives(desk.section, cap=20, events_max=1000, external=Channel(0))


def line(number: int, *, chat: bool = False) -> RegistrationLine:
    """A registration of another store, under other SIDs."""
    part = ChatPart(
        sid=f"BS{number:024x}{1:08x}",
        applied=True,
        version=number,
        generation=number,
        created=1,
        updated=2,
        seen=3,
        endpoint=f"endpoint-{number}",
    )
    return RegistrationLine(
        sid=f"BS{number:032x}",
        applied=True,
        version=number,
        generation=number,
        created=1,
        updated=2,
        seen=3,
        identity=f"user-{number}",
        binding_type=BindingType.FCM,
        address=f"token-{number}",
        device_id=f"device-{number}",
        chat=part if chat else None,
    )


async def test_lines_are_there_at_once_and_only_once(desk: Desk) -> None:
    """With their SIDs and times; the same again changes nothing, a newer one replaces."""
    some = [line(number, chat=number % 2 == 0) for number in range(1, 51)]
    outcomes, wake = await archives(desk).restore(some, same_key=False)
    assert (set(outcomes), wake) == ({Restored.NEW}, b"")
    assert await desk.addresses() == {f"token-{n}": f"user-{n}" for n in range(1, 51)}
    record = await desk.record("token-2")
    assert record is not None
    assert (str(record.visible_sid(NOTIFY)), record.created, record.seen) == (f"BS{2:032x}", 1, 3)
    [found] = await desk.reading.chat_bindings_of([desk.owner("user-2")])
    assert [str(c.visible_sid(CHAT)) for c in found or ()] == [f"BS{2:024x}{1:08x}"]
    assert set((await archives(desk).restore(some, same_key=False))[0]) == {Restored.SAME}
    newer = msgspec.structs.replace(some[0], version=100, identity="somebody-else")
    assert (await archives(desk).restore([newer], same_key=False))[0] == [Restored.REPLACED]
    assert await desk.desired("user-1") == set()


async def test_a_chat_binding_without_a_registration_waits_for_one(desk: Desk) -> None:
    """It is shown, until an app registers its endpoint."""
    alone = ChatLine(
        sid=f"BS{7:032x}",
        applied=True,
        version=7,
        generation=7,
        created=1,
        updated=2,
        seen=3,
        identity="alice",
        endpoint="alice:phone",
        binding_type=BindingType.FCM,
    )
    assert (await archives(desk).restore([alone], same_key=True))[0] == [Restored.NEW]
    assert await desk.chats("alice") == {"alice:phone"}
    await desk.login("alice", "token", "phone", channels=NOTIFY | CHAT)
    await desk.drain()
    [found] = await desk.reading.chat_bindings_of([desk.owner("alice")])
    assert [str(c.visible_sid(CHAT)) == f"BS{7:032x}" for c in found or ()] == [False]
    assert (await archives(desk).restore([alone], same_key=True))[0] == [Restored.NEWER]


async def test_a_removal_that_waits_for_a_chat_binding_that_is_restored_elsewhere_ends(desk: Desk) -> None:
    """The endpoint is another registration's now: nothing is left to wait for, and the removed record goes."""
    await desk.login("alice", "old", "phone", channels=NOTIFY | CHAT, endpoint="endpoint-1")
    await desk.logout("alice", device="phone")
    now = await desk.now() * 1_000_000 + 60_000_000
    newer = msgspec.structs.replace(
        line(1, chat=True), identity="alice", address="new", device_id="tablet", version=now, generation=now
    )
    assert newer.chat
    newer = msgspec.structs.replace(newer, chat=msgspec.structs.replace(newer.chat, version=now))
    assert (await archives(desk).restore([newer], same_key=False))[0] == [Restored.NEW]
    await desk.drain()
    assert await desk.record("old") is None
    assert await desk.chats("alice") == {"endpoint-1"}


async def test_a_place_is_kept_until_it_is_cleared(desk: Desk) -> None:
    """By name; what another version has noted is no place."""
    place = Place(desk.section, b"one", list[int])
    assert await place.get() is None
    await place.set([1, 2])
    assert await place.get() == [1, 2]
    assert await Place(desk.section, b"other", list[int]).get() is None
    assert await Place(desk.section, b"one", dict[str, int]).get() is None
    await place.clear()
    assert await place.get() is None
