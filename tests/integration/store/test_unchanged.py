"""The same registration again, as at every start of an app: what is new of it, and nothing else, is written."""

import pytest

from service.domain.errors import SeenSince
from service.domain.events import EventType, Reason
from service.domain.record import Channel, State
from service.redis import Redis
from service.store.adoptions import Outcome as Adopted
from service.store.registrations import Outcome
from tests.integration.store.adoption import IMPORT, adopt, after, binding
from tests.integration.store.desk import BOTH, CHAT, Desk
from tests.integration.store.upstream_desk import UpstreamDesk


async def test_the_same_again_writes_nothing(desk: Desk) -> None:
    """An unchanged registration is answered so, without a new version, a job or an event."""
    first = await desk.login("alice", "token", "phone")
    again = await desk.login("alice", "token", "phone")
    assert again.outcome is Outcome.PENDING
    assert again.wake == b""
    await desk.drain()
    events = len(await desk.events())
    third = await desk.login("alice", "token", "phone")
    assert third.outcome is Outcome.UNCHANGED
    assert third.record.version == first.record.version
    assert len(await desk.events()) == events


async def test_an_unchanged_registration_still_moves_to_its_new_session(desk: Desk) -> None:
    """A new session that registers the same becomes the one whose logout ends it."""
    await desk.login("alice", "token", "phone", session="s1", settle=True)
    again = await desk.login("alice", "token", "phone", session="s2")
    assert again.outcome is Outcome.UNCHANGED
    assert await desk.logout("alice", session="s1") == 0
    assert await desk.logout("alice", session="s2") == 1


async def test_a_server_that_names_no_session_leaves_it_its_own(desk: Desk) -> None:
    """A back end that sets a tag does not take the device from the logout of its session."""
    await desk.login("alice", "token", "phone", session="s1", iat=await desk.now())
    await desk.login("alice", "token", "phone", tags=("vip",))
    assert await desk.logout("alice", session="s1") == 1


@pytest.mark.parametrize(("ago", "since", "stays"), [(0, 60, True), (3_000, 3_000, True), (3_700, 60, False)])
async def test_an_older_report_removes_nothing(desk: Desk, ago: int, since: int, *, stays: bool) -> None:
    """That an address is dead counts only if its device has not registered since; in doubt it stays."""
    await desk.login("alice", "token", "phone")
    await desk.age("token", ago)
    removal = desk.registrations.remove(
        desk.fingerprint("token"), BOTH, Reason.PUSH_OFF, unless_seen_since=await desk.now() - since
    )
    if stays:
        with pytest.raises(SeenSince):
            await removal
    else:
        assert (await removal)[0]
    assert (await desk.desired("alice") == {"token"}) == stays


@pytest.mark.parametrize(("ago", "late"), [(3_590, False), (3_600, True)])
async def test_it_is_seen_again_once_an_hour(desk: Desk, ago: int, *, late: bool) -> None:
    """When the app was last here is known to the hour; to write it each time would cost more than it tells."""
    first = (await desk.login("alice", "token", "phone", settle=True)).record
    await desk.age("token", ago)
    again = await desk.login("alice", "token", "phone")
    assert again.outcome is Outcome.UNCHANGED
    assert again.record.version == first.version
    kept = await desk.record("token")
    assert kept is not None
    assert kept.seen == again.record.seen
    assert (kept.seen >= first.seen) == late


async def test_what_its_chat_binding_waits_for_is_pending(desk: Desk) -> None:
    """Notify is applied, Chat not yet: so it is answered, until both are."""
    await desk.login("alice", "token", "phone", channels=BOTH)
    await desk.settle("token")
    again = await desk.login("alice", "token", "phone", channels=BOTH)
    assert (again.outcome, again.record.notify, again.record.chat) == (Outcome.PENDING, State.APPLIED, State.PENDING)
    await desk.drain()
    assert (await desk.login("alice", "token", "phone", channels=BOTH)).outcome is Outcome.UNCHANGED


async def test_a_chat_binding_that_was_refused_for_good_is_tried_again(desk: Desk) -> None:
    """As with Notify: who registers again wants it again."""
    await desk.login("alice", "token", "phone", channels=BOTH)
    await desk.settle("token")
    await desk.kill_chat("alice", "alice:phone")
    assert len(await desk.ledgers.dead_letters()) == 1
    again = await desk.login("alice", "token", "phone", channels=BOTH)
    assert (again.outcome, again.record.chat) == (Outcome.PENDING, State.PENDING)
    [found] = await desk.reading.chat_bindings_of([desk.owner("alice")])
    assert [(record.chat, record.attempts) for record in found or ()] == [(State.PENDING, 0)]
    assert await desk.ledgers.dead_letters() == []
    last = (await desk.events())[-1]
    assert (last.type, last.channels) == (EventType.REARMED, ("chat",))
    await desk.drain()
    assert await desk.chats("alice") == {"alice:phone"}


async def test_what_is_owed_is_settled_by_who_needs_no_worker(desk: Desk) -> None:
    """A compatible create of what an app has just registered: applied, said so once, and no worker says it again."""
    await desk.login("alice", "token", "phone")
    again = await desk.login("alice", "token", "phone", settle=True)
    assert (again.outcome, again.record.notify) == (Outcome.UNCHANGED, State.APPLIED)
    assert await desk.applied("alice") == {"token"}
    await desk.drain()
    assert [event.type for event in await desk.events()] == [EventType.REGISTERED, EventType.APPLIED]
    assert (await desk.ledgers.sweep()).depth == 0


async def test_a_compatible_create_leaves_a_chat_binding_alone(desk: Desk) -> None:
    """It speaks of the Notify binding: neither does it try a refused Chat binding again, nor make a new version."""
    first = await desk.login("alice", "token", "phone", channels=BOTH)
    await desk.settle("token")
    await desk.kill_chat("alice", "alice:phone")
    for _ in range(2):
        again = await desk.login("alice", "token", keep=True, settle=True)
        assert (again.outcome, again.record.sid) == (Outcome.UNCHANGED, first.record.sid)
        assert len(await desk.ledgers.dead_letters()) == 1
    tagged = await desk.login("alice", "token", tags=("new",), keep=True, settle=True)
    assert (tagged.outcome, tagged.record.chat) == (Outcome.ACCEPTED, State.FAILED)
    assert len(await desk.ledgers.dead_letters()) == 1
    first = await desk.login("alice", "token", keep=True, settle=True)
    await desk.logout("alice", device="phone", channels=CHAT)
    again = await desk.login("alice", "token", keep=True, settle=True)
    assert (again.outcome, again.record.sid) == (Outcome.UNCHANGED, first.record.sid)
    await desk.drain()
    assert (await desk.login("alice", "token", keep=True, settle=True)).record.sid == first.record.sid


async def test_what_an_import_has_changed_of_a_chat_binding_is_registered_again(redis: Redis) -> None:
    """The last word is the app's (contract 3)."""
    desk = UpstreamDesk(redis, external=Channel(0))
    await desk.login("alice", "token", "phone", channels=BOTH, endpoint="e")
    await desk.drain()
    found = binding("alice", "e", "else", channel=CHAT, at=await after(desk))
    assert await adopt(desk, found, source=IMPORT) == [Adopted.REPLACED]
    again = await desk.login("alice", "token", "phone", channels=BOTH, endpoint="e")
    assert again.outcome is Outcome.ACCEPTED
    assert again.chat is not None
    assert again.chat.attributes.tags == ()
