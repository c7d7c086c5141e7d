"""What an import takes from registrations, and what it leaves to them."""

from __future__ import annotations

from service.domain.addresses import BindingType
from service.domain.events import EventType, Reason
from service.domain.limits import PER_IDENTITY
from service.domain.record import State
from service.redis import Redis
from service.store.adoptions import Outcome
from service.store.ledger import Verdict
from service.store.upstream_ledger import Observation
from tests.integration.store.adoption import AUDIT, COLD, IMPORT, LONG_AGO, adopt, after, binding
from tests.integration.store.desk import BOTH, CHAT, NOTIFY
from tests.integration.store.upstream_desk import UpstreamDesk


async def test_who_loses_an_address_to_an_import_loses_its_chat_binding(alone: UpstreamDesk) -> None:
    """Nor does its device rotate what is another's now."""
    await alone.login("alice", "token", "phone", channels=BOTH, endpoint="e")
    await alone.drain()
    found = binding("bob", "token", at=await after(alone))
    assert await adopt(alone, found, source=IMPORT) == [Outcome.REPLACED]
    await alone.drain()
    assert (await alone.desired("alice"), await alone.chats("alice")) == (set(), set())
    await alone.login("alice", "another", "phone")
    assert await alone.desired("bob") == {"token"}


async def test_an_address_that_is_said_to_be_of_another_kind_leaves_its_device(alone: UpstreamDesk) -> None:
    """Neither device nor Chat binding can follow; the device is free for another address."""
    await alone.login("alice", "token", "phone", channels=BOTH, endpoint="e")
    await alone.drain()
    found = binding("alice", "token", kind=BindingType.APN, at=await after(alone))
    assert await adopt(alone, found, source=IMPORT) == [Outcome.REPLACED]
    await alone.drain()
    record = await alone.known("token")
    assert (record.type, record.channels, record.extras.device_id) == (BindingType.APN, NOTIFY, None)
    assert await alone.chats("alice") == set()
    await alone.login("alice", "another", "phone")
    assert await alone.desired("alice") == {"token", "another"}


async def test_an_import_keeps_the_chat_binding_of_the_same_identitys(alone: UpstreamDesk) -> None:
    """It speaks of the Notify binding alone."""
    await alone.login("alice", "token", "phone", channels=BOTH, endpoint="e", session="s")
    await alone.drain()
    before = await alone.known("token")
    assert await adopt(alone, binding("alice", "token", "new", at=await after(alone)), source=IMPORT) == [
        Outcome.REPLACED
    ]
    record = await alone.known("token")
    assert (record.attributes.tags, record.channels, record.session) == (("new",), BOTH, before.session)
    assert await alone.chats("alice") == {"e"}
    assert await alone.logout("alice", device="phone") == 1


async def test_what_is_imported_takes_the_letter_of_what_was_refused_along(alone: UpstreamDesk) -> None:
    """To retry it would be to go back."""
    await alone.login("alice", "token")
    await alone.kill("token")
    assert len(await alone.ledgers.dead_letters()) == 1
    assert await adopt(alone, binding("alice", "token", at=await after(alone)), source=IMPORT) == [Outcome.REPLACED]
    assert await alone.ledgers.dead_letters() == []
    assert await alone.applied("alice") == {"token"}


async def test_a_removal_that_was_refused_is_owed_again_with_what_else_is_there(redis: Redis) -> None:
    """A list shows a SID that was not known: it goes with the rest, and no letter is left."""
    desk = UpstreamDesk(redis)
    ours = await desk.apply("alice", "token")
    await desk.logout("alice")
    lease, taken = await desk.take("token")
    await desk.upstream.settle(desk.lane("token"), lease, [Observation(taken.record, Verdict.DEAD, reason="x")])
    assert len(await desk.ledgers.dead_letters()) == 1
    found = binding("alice", "token")
    assert await adopt(desk, found) == [Outcome.REMOVED]
    assert await desk.ledgers.dead_letters() == []
    _, taken = await desk.take("token")
    assert (taken.record.notify, {trace.sid for trace in taken.record.traces}) == (State.PENDING, {ours, found.sid})


async def test_two_addresses_with_one_fingerprint_are_told_apart(alone: UpstreamDesk) -> None:
    """The one that is here stays."""
    await alone.login("alice", "token")
    await alone.rewrite("token", lambda raw: raw.replace(b"token", b"other"))
    found = binding("bob", "token", at=await after(alone))
    assert await adopt(alone, found, source=IMPORT) == [Outcome.COLLISION]
    assert await alone.desired("alice") == {"other"}


async def test_an_identity_has_no_more_than_one_call_may_touch(redis: Redis) -> None:
    """What a logout has ended is owed all the same: it is none of these."""
    desk = UpstreamDesk(redis)
    await desk.logout("alice", address="ended")
    many = [binding("alice", f"token-{n}") for n in range(PER_IDENTITY)]
    assert set(await adopt(desk, *many)) == {Outcome.ADOPTED}
    for source in COLD, IMPORT:
        assert await adopt(desk, binding("alice", "one-more"), source=source) == [Outcome.FULL]
    await desk.apply("bob", "given-up")
    await desk.logout("bob")
    lease, taken = await desk.take("given-up")
    await desk.upstream.settle(desk.lane("given-up"), lease, [Observation(taken.record, Verdict.DEAD, reason="x")])
    [letter] = await desk.ledgers.dead_letters()
    await desk.ledgers.drop(letter)
    found = binding("alice", "given-up", at=await after(desk) + 100)
    assert await adopt(desk, found, source=AUDIT) == [Outcome.FULL]
    assert await adopt(desk, binding("alice", "ended")) == [Outcome.REMOVED]
    assert len(await desk.desired("alice")) == PER_IDENTITY


async def test_an_import_applies_what_was_refused_of_chat(alone: UpstreamDesk) -> None:
    """For its registration too: no letter is left, and its SID leads to it; that of an earlier import no more."""
    await alone.login("alice", "token", "phone", channels=BOTH, endpoint="e")
    await alone.kill_chat("alice", "e")
    told = len(await alone.events())
    first = binding("alice", "e", channel=CHAT, at=await after(alone))
    assert await adopt(alone, first, source=IMPORT) == [Outcome.REPLACED]
    assert await alone.ledgers.dead_letters() == []
    assert ((await alone.known("token")).chat, await alone.chats("alice")) == (State.APPLIED, {"e"})
    [event] = (await alone.events())[told:]
    assert (event.type, event.binding_sid, event.channels) == (EventType.ADOPTED, str(first.sid), ("chat",))
    later = binding("alice", "e", channel=CHAT, at=first.updated + 1)
    assert await adopt(alone, later, source=IMPORT) == [Outcome.REPLACED]
    assert await alone.reading.binding(later.sid, chat=True)
    assert await alone.reading.binding(first.sid, chat=True) is None
    await alone.logout("alice")
    await alone.drain()
    assert (await alone.chats("alice"), await alone.record("token")) == (set(), None)


async def test_a_chat_binding_that_a_logout_covers_is_owed_to_its_upstream(redis: Redis) -> None:
    """It is listed there, so that it is told, and goes; without an upstream there is nothing to do."""
    desk = UpstreamDesk(redis, external=BOTH)
    await desk.logout("alice")
    assert await adopt(desk, binding("alice", "e", channel=CHAT)) == [Outcome.REMOVED]
    event = (await desk.events())[-1]
    assert (event.type, event.reason, event.channels) == (EventType.REMOVED, Reason.LOGOUT, ("chat",))
    assert await desk.chats("alice") == set()
    taken = await desk.ledgers.take_chat(desk.chat_lane("alice"), 10, 30_000)
    assert taken is not None
    assert [(record.address, record.chat) for record in taken[1][0].records] == [("e", State.PENDING)]


async def test_what_is_imported_over_a_registration_leaves_it_shown_as_it_was(redis: Redis) -> None:
    """Until a worker has looked; what the upstream had of it is still known."""
    desk = UpstreamDesk(redis)
    sid = await desk.apply("alice", "token", "phone")
    found = binding("alice", "token", "new", at=await after(desk))
    assert await adopt(desk, found, source=IMPORT) == [Outcome.REPLACED]
    assert await desk.applied("alice") == {"token"}
    assert [trace.sid for trace in (await desk.known("token")).traces] == [found.sid, sid]


async def test_an_import_takes_an_endpoint_from_a_registration(alone: UpstreamDesk) -> None:
    """Whoever had it keeps push; what is older takes nothing (contract 2)."""
    await alone.login("alice", "token", "phone", channels=BOTH, endpoint="e")
    await alone.drain()
    assert await adopt(alone, binding("bob", "e", channel=CHAT), source=IMPORT) == [Outcome.OURS]
    found = binding("bob", "e", channel=CHAT, at=await after(alone))
    assert await adopt(alone, found, source=IMPORT) == [Outcome.ADOPTED]
    assert (await alone.chats("alice"), await alone.chats("bob")) == (set(), {"e"})
    await alone.drain()
    record = await alone.known("token")
    assert (record.channels, await alone.applied("alice")) == (NOTIFY, {"token"})


async def test_an_import_revives_no_chat_binding_that_is_on_its_way_out(alone: UpstreamDesk) -> None:
    """Whatever its time: it is to go."""
    await alone.login("alice", "token", "phone", channels=BOTH, endpoint="e")
    await alone.drain()
    await alone.logout("alice", device="phone")
    found = binding("alice", "e", channel=CHAT, at=await after(alone))
    assert await adopt(alone, found, source=IMPORT) == [Outcome.OURS]
    assert await alone.chats("alice") == set()


async def test_a_chat_binding_that_is_known_by_its_sid_is_the_same(alone: UpstreamDesk) -> None:
    """Nothing of it is written, however new it says that it is."""
    found = binding("alice", "e", channel=CHAT)
    await adopt(alone, found, source=IMPORT)
    told = len(await alone.events())
    again = binding("alice", "e", sid=found.sid, channel=CHAT, at=await after(alone))
    assert await adopt(alone, again, source=IMPORT) == [Outcome.SAME]
    assert len(await alone.events()) == told


async def test_what_an_upstream_lists_of_registered_chat_bindings_is_theirs(redis: Redis) -> None:
    """Under whatever SID: an upstream's Chat bindings are made by its own apps."""
    desk = UpstreamDesk(redis, external=BOTH)
    await desk.login("alice", "token", "phone", channels=BOTH, endpoint="e")
    found = binding("alice", "e", "t", channel=CHAT, at=await after(desk))
    assert await adopt(desk, found, source=IMPORT) == [Outcome.SAME]


async def test_an_identity_has_no_more_chat_bindings_than_one_call_may_touch(alone: UpstreamDesk) -> None:
    """Twice as many as registrations: those on their way out count too."""
    many = [binding("alice", f"e-{n}", channel=CHAT) for n in range(2 * PER_IDENTITY + 1)]
    outcomes = await adopt(alone, *many, source=IMPORT)
    assert outcomes == [Outcome.ADOPTED] * (2 * PER_IDENTITY) + [Outcome.FULL]


async def test_an_import_gives_no_address_to_who_has_logged_out_since(alone: UpstreamDesk) -> None:
    """However much newer than what is here (contract 6)."""
    await adopt(alone, binding("bob", "token"), source=IMPORT)
    await alone.logout("alice")
    found = binding("alice", "token", at=LONG_AGO + 10)
    assert await adopt(alone, found, source=IMPORT) == [Outcome.OURS]
    assert (await alone.desired("alice"), await alone.desired("bob")) == (set(), {"token"})
