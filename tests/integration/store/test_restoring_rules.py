"""What a line of an archive takes, and what stands against it, as far as whole archives rarely show it."""

from __future__ import annotations

import msgspec

from service.domain.addresses import BindingType
from service.domain.archive import ChatLine, RegistrationLine
from service.domain.events import EventType
from service.domain.limits import PER_IDENTITY
from service.domain.record import Channel, State
from service.redis import Redis
from service.store.archives import Archives, Restored
from tests.integration.store.desk import BOTH, CHAT, NOTIFY, Desk
from tests.integration.store.test_restoring import archives, line
from tests.integration.store.upstream_desk import UpstreamDesk


async def outcomes(desk: Desk, *lines: RegistrationLine | ChatLine) -> list[Restored]:
    """What became of each."""
    return (await archives(desk).restore(lines, same_key=True))[0]


async def version(desk: Desk, seconds: int = 0) -> int:
    """One of now, or of so many seconds later."""
    now, micros = await desk.time()
    return 1_000_000 * (now + seconds) + micros


def of(made: RegistrationLine, number: int, *, applied: bool = True) -> RegistrationLine:
    """The same, of another version in all its channels."""
    chat = made.chat and msgspec.structs.replace(made.chat, version=number, applied=applied)
    return msgspec.structs.replace(made, version=number, chat=chat)


def alone(identity: str, endpoint: str, number: int) -> ChatLine:
    """A Chat binding without a registration."""
    return ChatLine(
        sid=f"BS{number:032x}",
        applied=True,
        version=number,
        generation=number,
        created=1,
        updated=2,
        seen=3,
        identity=identity,
        endpoint=endpoint,
        binding_type=BindingType.FCM,
    )


async def test_an_endpoint_that_was_restored_has_one_owner(desk: Desk) -> None:
    """Whoever registers it takes it, from a registration and from a Chat binding of its own."""
    assert await outcomes(desk, line(1, chat=True), alone("alice", "e-2", 2)) == [Restored.NEW] * 2
    assert (await desk.chats("user-1"), await desk.chats("alice")) == ({"endpoint-1"}, {"e-2"})
    await desk.login("bob", "token-a", "a", channels=BOTH, endpoint="endpoint-1")
    await desk.login("bob", "token-b", "b", channels=BOTH, endpoint="e-2")
    await desk.drain()
    assert (await desk.chats("user-1"), await desk.chats("alice")) == (set(), set())
    assert await desk.chats("bob") == {"endpoint-1", "e-2"}


async def test_a_line_takes_an_endpoint_from_what_is_older_only(desk: Desk) -> None:
    """From a registration, whose push stays, and from a Chat binding of its own."""
    await desk.login("alice", "token-a", "a", channels=BOTH, endpoint="endpoint-1")
    await desk.drain()
    assert await outcomes(desk, alone("zoe", "endpoint-2", 2)) == [Restored.NEW]
    assert await outcomes(desk, line(1, chat=True), of(line(2, chat=True), 1)) == [Restored.NEWER] * 2
    assert (await desk.chats("alice"), await desk.chats("zoe")) == ({"endpoint-1"}, {"endpoint-2"})
    newer = await version(desk, 10)
    assert await outcomes(desk, of(line(1, chat=True), newer), of(line(2, chat=True), newer)) == [Restored.NEW] * 2
    await desk.drain()
    assert (await desk.chats("alice"), await desk.chats("zoe")) == (set(), set())
    assert (await desk.chats("user-1"), await desk.chats("user-2")) == ({"endpoint-1"}, {"endpoint-2"})
    assert await desk.applied("alice") == {"token-a"}


async def test_an_identitys_endpoint_moves_to_the_newer_registration(desk: Desk) -> None:
    """The same Chat binding under another address; the older one keeps its push."""
    await desk.login("user-1", "token-a", "a", channels=BOTH, endpoint="endpoint-1")
    await desk.drain()
    assert await outcomes(desk, line(1, chat=True)) == [Restored.NEWER]
    assert await outcomes(desk, of(line(1, chat=True), await version(desk, 10))) == [Restored.NEW]
    await desk.drain()
    assert await desk.applied("user-1") == {"token-a", "token-1"}
    assert await desk.chats("user-1") == {"endpoint-1"}
    before, after = await desk.record("token-a"), await desk.record("token-1")
    assert before
    assert after
    assert (before.channels, after.channels) == (NOTIFY, BOTH)


async def test_a_chat_binding_that_was_still_to_come_is_owed(desk: Desk) -> None:
    """It is shown once a worker has been at it."""
    assert await outcomes(desk, of(line(1, chat=True), 1, applied=False)) == [Restored.NEW]
    assert await desk.chats("user-1") == set()
    await desk.drain()
    assert await desk.chats("user-1") == {"endpoint-1"}


async def test_a_chat_binding_of_its_own_stands_against_nothing_newer(desk: Desk) -> None:
    """Nor against what an app has registered, nor does it come from the future; versions go on after it."""
    ahead = await version(desk, 60)
    assert await outcomes(desk, alone("alice", "e", ahead)) == [Restored.NEW]
    [adopted] = await desk.events()
    assert (adopted.type, adopted.channels) == (EventType.ADOPTED, ("chat",))
    assert await outcomes(desk, alone("alice", "e", ahead)) == [Restored.SAME]
    assert await outcomes(desk, alone("alice", "e", ahead - 1)) == [Restored.NEWER]
    assert await outcomes(desk, alone("bob", "e", ahead - 1)) == [Restored.NEWER]
    assert await outcomes(desk, alone("bob", "e", ahead + 1)) == [Restored.NEW]
    await desk.drain()
    assert (await desk.chats("alice"), await desk.chats("bob")) == (set(), {"e"})
    logged_in = await desk.login("bob", "token", "phone", channels=BOTH, endpoint="e")
    assert logged_in.record.version > ahead + 1
    late = logged_in.record.version + 1
    assert await outcomes(desk, alone("bob", "e", late), alone("alice", "e", late)) == [Restored.NEWER] * 2
    never = await version(desk, 2 * 86_400)
    assert await outcomes(desk, alone("carol", "e-c", never), of(line(1), never)) == [Restored.FUTURE] * 2
    assert await desk.desired("user-1") == await desk.chats("carol") == set()


async def test_a_newer_line_takes_the_letters_of_the_older_one_along(desk: Desk) -> None:
    """As a registration does: what they tell of is wanted no more."""
    await desk.login("user-1", "token-1", "device-1", channels=BOTH, endpoint="endpoint-1")
    await desk.kill("token-1")
    await desk.kill_chat("user-1", "endpoint-1")
    assert len(await desk.ledgers.dead_letters()) == 2
    assert await outcomes(desk, of(line(1, chat=True), await version(desk, 10))) == [Restored.REPLACED]
    assert await desk.ledgers.dead_letters() == []


async def test_an_identity_has_no_more_in_all_channels_than_it_may_have(desk: Desk) -> None:
    """Those for Chat alone count too."""
    many = [
        msgspec.structs.replace(line(n, chat=True), identity="alice", notify=False) for n in range(1, PER_IDENTITY + 2)
    ]
    assert await outcomes(desk, *many) == [Restored.NEW] * PER_IDENTITY + [Restored.FULL]


async def test_what_a_line_without_notify_ends_is_not_said_of_the_new_owner(desk: Desk) -> None:
    """Whose it was is told by the line's own event."""
    await desk.login("alice", "token-1")
    await desk.drain()
    chat_only = msgspec.structs.replace(of(line(1, chat=True), await version(desk, 10)), notify=False)
    assert await outcomes(desk, chat_only) == [Restored.REPLACED]
    await desk.drain()
    assert [e.binding_sid for e in await desk.events() if e.type is EventType.ENDED] == []
    assert await desk.desired("alice") == set()


async def test_a_sid_of_before_leads_nowhere(desk: Desk) -> None:
    """Neither the one that a line had, nor its Chat binding's, once a newer line has another."""
    assert await outcomes(desk, line(1, chat=True)) == [Restored.NEW]
    newer = of(line(1, chat=True), 7)
    assert newer.chat
    chat = msgspec.structs.replace(newer.chat, sid=f"BS{8:032x}")
    assert await outcomes(desk, msgspec.structs.replace(newer, sid=f"BS{7:032x}", chat=chat)) == [Restored.REPLACED]
    assert [await leads(desk, number) for number in (1, 7, 8)] == [False, True, True]


async def leads(desk: Desk, number: int) -> bool:
    """Whether the SID of a line is known as a foreign one."""
    anchor, sid = desk.section.anchor, bytes.fromhex(f"{number:032x}")
    return bool(await desk.redis.command("HEXISTS", anchor + b":a" + sid[:2], sid, key=anchor))


async def test_what_was_given_up_before_its_upstream_stays_so(redis: Redis) -> None:
    """An archive of before knows nothing of it; one of after brings it back, to be looked at."""
    desk = UpstreamDesk(redis)
    there = Archives(desk.section, cap=20, events_max=1000, external=NOTIFY)
    await desk.apply("alice", "token-1")
    before = await version(desk)
    await desk.pass_by(before // 1000)
    await desk.logout("alice")
    lease, taken = await desk.take("token-1")
    await desk.gone("token-1", lease, taken.record)
    assert await desk.record("token-1") is None
    assert (await there.restore([of(line(1), before)], same_key=True))[0] == [Restored.NEWER]
    after = await version(desk, 1)
    assert (await there.restore([of(line(1), after)], same_key=True))[0] == [Restored.NEW]
    assert (await desk.known("token-1")).doubt > 0
    assert await desk.due("token-1")


async def test_a_newer_line_of_the_same_is_told_once(desk: Desk) -> None:
    """Nothing was taken from anybody, and nothing rotated."""
    lines = line(1, chat=True), alone("alice", "e", 1)
    assert await outcomes(desk, *lines) == [Restored.NEW] * 2
    told = len(await desk.events())
    assert await outcomes(desk, of(line(1, chat=True), 7), alone("alice", "e", 7)) == [Restored.REPLACED] * 2
    assert [event.type for event in (await desk.events())[told:]] == [EventType.ADOPTED] * 2


async def test_a_device_that_is_taken_loses_its_chat_binding_too(desk: Desk) -> None:
    """Its endpoint is not the one that it gets."""
    await desk.login("alice", "token-a", "device-1", channels=BOTH, endpoint="e-old")
    await desk.drain()
    assert await outcomes(desk, of(line(1, chat=True), await version(desk, 10))) == [Restored.NEW]
    assert (await desk.desired("alice"), await desk.chats("alice")) == (set(), set())
    assert await desk.chats("user-1") == {"endpoint-1"}


async def test_the_cap_counts_push_alone_and_after_what_a_line_takes(desk: Desk) -> None:
    """A device's earlier address makes room, its own and an identity's Chat bindings take none (contract 5)."""
    one = Archives(desk.section, cap=1, events_max=1000, external=Channel(0))
    await desk.login("user-1", "token-c", "chats", channels=CHAT)
    await desk.login("user-1", "token-a", "device-1")
    made = of(line(1), await version(desk, 10))
    other = msgspec.structs.replace(of(line(2), made.version), identity="user-1")
    again = of(made, made.version + 1)
    answer = (await one.restore([made, other, again], same_key=True))[0]
    assert answer == [Restored.NEW, Restored.FULL, Restored.REPLACED]
    chat_only = msgspec.structs.replace(of(line(3, chat=True), made.version), identity="user-1", notify=False)
    assert (await one.restore([chat_only], same_key=True))[0] == [Restored.NEW]
    assert await desk.desired("user-1") == {"token-c", "token-1", "token-3"}


async def test_two_addresses_with_one_fingerprint_are_told_apart(desk: Desk) -> None:
    """The one that is here stays."""
    assert await outcomes(desk, line(1)) == [Restored.NEW]
    await desk.rewrite("token-1", lambda raw: raw.replace(b"token-1", b"token-x"))
    assert await outcomes(desk, of(line(1), await version(desk))) == [Restored.COLLISION]
    assert await desk.desired("user-1") == {"token-x"}


async def test_what_an_archive_says_of_an_upstream_is_looked_at(redis: Redis) -> None:
    """A SID of our own is none that an upstream gave; what was in doubt here stays so for as long."""
    desk = UpstreamDesk(redis, longest_ms=60_000)
    there = Archives(desk.section, cap=20, events_max=1000, external=NOTIFY)
    await desk.login("alice", "token-1")
    lease, taken = await desk.take("token-1")
    await desk.unknown("token-1", lease, taken.record)
    doubt = (await desk.known("token-1")).doubt
    newer = await version(desk, 10)
    ours = msgspec.structs.replace(line(2), sid=f"BS{desk.fingerprint('token-2').hex()}{2:08x}")
    assert (await there.restore([of(line(1), newer), ours, line(3)], same_key=True))[0] == [
        Restored.REPLACED, Restored.NEW, Restored.NEW,
    ]  # fmt: skip
    first, second, third = [await desk.known(f"token-{n}") for n in (1, 2, 3)]
    assert (first.notify, second.notify, third.notify) == (State.APPLIED, State.PENDING, State.APPLIED)
    assert first.doubt == doubt
    assert all((second.doubt, third.doubt))
    assert {trace.attributes.identity for trace in first.traces} == {"user-1", "alice"}


async def test_chat_bindings_at_an_upstream_keep_their_sids(redis: Redis) -> None:
    """That of a registration is shown once a worker has seen it, one of its own at once."""
    desk = UpstreamDesk(redis, external=BOTH)
    there = Archives(desk.section, cap=20, events_max=1000, external=BOTH)
    assert (await there.restore([line(1, chat=True), alone("alice", "e", 2)], same_key=True))[0] == [Restored.NEW] * 2
    assert (await desk.chats("user-1"), await desk.chats("alice")) == (set(), {"e"})
    key = desk.section.fingerprints.chat(desk.owner("alice"), "e", BindingType.FCM.code)
    own = alone("alice", "e", 3)
    own = msgspec.structs.replace(own, sid=f"BS{key.hex()}{3:08x}")
    assert (await there.restore([own], same_key=True))[0] == [Restored.REPLACED]
    [[found]] = [records or [] for records in await desk.reading.chat_bindings_of([desk.owner("alice")])]
    assert [str(trace.sid) for trace in found.traces] == [own.sid]
