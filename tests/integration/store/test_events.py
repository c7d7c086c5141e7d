"""The stream tells of every change once: what it was, whose, why, and under the id and SID that were shown."""

from service.domain.events import Event, EventType, Reason
from service.domain.record import Channel
from service.domain.sids import RegistrationId, user_sid
from service.redis import Redis
from service.store.audits import Audits, Finding
from tests.integration.store.adoption import IMPORT, adopt, binding
from tests.integration.store.desk import BOTH, CHAT, Desk
from tests.integration.store.upstream_desk import LONGEST_MS, UpstreamDesk


async def told(desk: Desk, since: int) -> list[Event]:
    """The events after the first so many."""
    return (await desk.events())[since:]


async def test_every_change_is_an_event(desk: Desk) -> None:
    """Registered, applied, failed, armed again, removed and ended: each is told, at once or by a worker."""
    await desk.login("alice", "token", "phone", channels=BOTH)
    await desk.drain()
    await desk.logout("alice")
    await desk.drain()
    told = [(e.type.value, e.channels) for e in await desk.events()]
    notify, chat = ("notify",), ("chat",)
    # The two ledgers are drained side by side: which is first is no promise.
    assert told[0] == ("registered", ("notify", "chat"))
    assert set(told[1:3]) == {("applied", notify), ("applied", chat)}
    assert told[3:5] == [("removed", ("notify", "chat")), ("removed", chat)]
    assert set(told[5:]) == {("ended", notify), ("ended", chat)}


async def test_what_is_settled_at_once_is_told_at_once(desk: Desk) -> None:
    """A compatible create and delete tell of the same changes as a worker does."""
    done = await desk.login("alice", "token", keep=True, settle=True)
    await desk.delete(done.record.sid)
    assert [e.type.value for e in await desk.events()] == ["registered", "applied", "removed", "ended"]


async def test_failure_and_another_try_are_told(desk: Desk) -> None:
    """A failure and its repeat are events too."""
    await desk.login("alice", "token")
    await desk.kill("token")
    await desk.login("alice", "token")
    assert [e.type.value for e in await desk.events()] == ["registered", "failed", "rearmed"]


async def test_the_chat_channel_of_a_registration_is_named_by_its_id(desk: Desk) -> None:
    """Its Notify binding, which lives on, is not meant; the Chat binding's own event has its SID."""
    done = await desk.login("alice", "token", "phone", channels=BOTH)
    await desk.drain()
    assert done.chat is not None
    count = len(await desk.events())
    await desk.delete(done.chat.sid, chat=True)
    of_registration, of_binding = (await told(desk, count))[:2]
    name = str(RegistrationId(done.record.fingerprint, done.record.generation))
    assert (of_registration.registration_id, of_registration.binding_sid) == (name, None)
    assert (of_binding.registration_id, of_binding.binding_sid) == (None, str(done.chat.sid))
    alone = await desk.login("bob", "other", "watch", channels=CHAT)
    registered = next(event for event in reversed(await desk.events()) if event.type is EventType.REGISTERED)
    name = str(RegistrationId(alone.record.fingerprint, alone.record.generation))
    assert (registered.registration_id, registered.binding_sid) == (name, None)


async def test_a_channel_that_is_wanted_no_more_is_told(desk: Desk) -> None:
    """Nothing was rotated; and it ends under the SID that it had, also if a logout comes first."""
    for channels, gone in (CHAT, "notify"), (Channel.NOTIFY, "chat"):
        await desk.login("alice", "token", "phone", channels=BOTH)
        await desk.drain()
        count = len(await desk.events())
        shown = await desk.record("token")
        assert shown is not None
        await desk.login("alice", "token", "phone", channels=channels)
        removed = [event for event in await told(desk, count) if event.type is EventType.REMOVED]
        assert [(event.channels, event.reason) for event in removed] == [((gone,), Reason.PUSH_OFF)]
        if gone == "notify":
            assert removed[0].binding_sid == str(shown.sid)
            await desk.logout("alice", device="phone")
        await desk.drain()
        ended = [event for event in await told(desk, count) if event.type is EventType.ENDED]
        assert [e.binding_sid for e in ended if e.channels == (gone,)] == [removed[0].binding_sid]


async def test_what_a_takeover_without_notify_ends_is_not_said_of_the_new_owner(desk: Desk) -> None:
    """Whose it was is told by the registration."""
    await desk.login("alice", "token")
    await desk.drain()
    count = len(await desk.events())
    await desk.login("bob", "token", channels=CHAT, endpoint="e")
    await desk.drain()
    assert [(event.type, event.channels) for event in await told(desk, count)] == [
        (EventType.REGISTERED, ("chat",)),
        (EventType.APPLIED, ("chat",)),
    ]
    assert (await told(desk, count))[0].other_user_sid == user_sid(desk.owner("alice"))


async def test_what_was_never_its_own_has_no_sid(desk: Desk) -> None:
    """That it is refused to go is told all the same."""
    await desk.login("alice", "token")
    await desk.drain()
    await desk.login("bob", "token", channels=CHAT, endpoint="e")
    await desk.kill("token")
    failed = (await desk.events())[-1]
    assert (failed.type, failed.channels, failed.binding_sid) == (EventType.FAILED, ("notify",), None)


async def test_what_a_takeover_has_ended_is_not_said_of_a_new_owner_who_has_gone(desk: Desk) -> None:
    """Before any worker was at it."""
    await desk.login("alice", "token")
    await desk.drain()
    count = len(await desk.events())
    await desk.login("bob", "token", channels=CHAT, endpoint="e")
    await desk.logout("bob")
    await desk.drain()
    assert {e.channels for e in await told(desk, count) if e.type is EventType.ENDED} == {("chat",)}


async def test_a_binding_ends_under_the_sid_that_it_was_shown_under(redis: Redis) -> None:
    """Also one that was imported, whichever way it goes."""
    for at_once in (False, True):
        desk = UpstreamDesk(redis, external=Channel(0))
        found, chat = binding("alice", "token"), binding("alice", "e", channel=CHAT)
        await adopt(desk, found, chat, source=IMPORT)
        if at_once:
            await desk.delete(found.sid)
            await desk.delete(chat.sid, chat=True)
        else:
            await desk.logout("alice")
            await desk.drain()
        ended = {event.binding_sid for event in await desk.events() if event.type is EventType.ENDED}
        assert ended == {str(found.sid), str(chat.sid)}


async def test_an_upstreams_binding_ends_under_its_sid(alone: UpstreamDesk) -> None:
    """Once it is confirmed to have gone there."""
    sid = await alone.apply("alice", "token")
    await alone.logout("alice")
    lease, taken = await alone.take("token")
    await alone.gone("token", lease, taken.record)
    assert [(e.type, e.binding_sid) for e in (await alone.events())[-2:]] == [
        (EventType.REMOVED, str(sid)),
        (EventType.ENDED, str(sid)),
    ]


async def test_what_has_vanished_is_told_under_its_sid(alone: UpstreamDesk) -> None:
    """As it was shown until then."""
    sid = await alone.apply("alice", "token")
    audits = Audits(alone.section, longest_ms=LONGEST_MS, events_max=1000, external=Channel.NOTIFY)
    await alone.pass_by(1000 * await alone.now() + LONGEST_MS)
    assert (await audits.found([Finding(await alone.known("token"), dead=True)]))[0] == 1
    removed, ended = (await alone.events())[-2:]
    assert (removed.type, removed.reason, removed.binding_sid) == (EventType.REMOVED, Reason.VANISHED, str(sid))
    assert (ended.type, ended.binding_sid) == (EventType.ENDED, str(sid))


async def test_an_end_is_told_once(desk: Desk) -> None:
    """Though the ledger still has an entry of what a compatible delete has ended at once."""
    await desk.login("alice", "token", "phone", channels=BOTH)
    done = await desk.login("alice", "token", keep=True, settle=True)
    await desk.delete(done.record.sid)
    await desk.drain()
    assert [e.channels for e in await desk.events() if e.type is EventType.ENDED] == [("notify",)]


async def test_who_takes_an_endpoint_is_named_by_the_binding_that_it_takes(redis: Redis) -> None:
    """One without a registration has no other event to name both."""
    desk = UpstreamDesk(redis, external=Channel(0))
    await adopt(desk, binding("alice", "e", channel=CHAT), source=IMPORT)
    await desk.login("bob", "token", channels=BOTH, endpoint="e")
    [taken] = [event for event in await desk.events() if event.type is EventType.REMOVED]
    assert (taken.user_sid, taken.other_user_sid) == (user_sid(desk.owner("alice")), user_sid(desk.owner("bob")))
