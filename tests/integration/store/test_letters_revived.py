"""A dead letter that is armed again, or dropped, leaves its record as if nothing had been refused."""

from __future__ import annotations

import pytest

from service.domain.events import EventType
from service.domain.record import Record, State
from service.redis import Redis
from service.store.ledger import DeadLetter, Settlement, Verdict
from service.store.upstream_ledger import Observation, Report
from tests.integration.store.adoption import IMPORT, adopt, binding
from tests.integration.store.desk import BOTH, CHAT, Desk
from tests.integration.store.upstream_desk import UpstreamDesk


@pytest.fixture
async def there(redis: Redis) -> UpstreamDesk:
    return UpstreamDesk(redis)


async def chat_record(desk: Desk, identity: str) -> Record:
    [[record]] = [found or [] for found in await desk.reading.chat_bindings_of([desk.owner(identity)])]
    return record


async def fail_once(desk: Desk, address: str, identity: str) -> None:
    """One try of each channel fails, and is due again."""
    lease = await desk.ledgers.take(desk.lane(address), 10, 30_000)
    assert lease is not None
    later = [Settlement(r.fingerprint, r.version, Verdict.LATER) for r in lease.records]
    await desk.ledgers.settle(desk.lane(address), lease.token, later)
    taken = await desk.ledgers.take_chat(desk.chat_lane(identity), 10, 30_000)
    assert taken is not None
    token, [work] = taken
    later = [Settlement(r.fingerprint, r.version, Verdict.LATER) for r in work.records]
    await desk.ledgers.settle_chat(desk.chat_lane(identity), token, work.owner, later, external=False)


async def test_both_channels_are_tried_again(desk: Desk) -> None:
    """With as many tries as at first; the registration shows it, and it is told."""
    await desk.login("alice", "token", "phone", channels=BOTH, endpoint="e")
    await fail_once(desk, "token", "alice")
    await desk.kill("token")
    await desk.kill_chat("alice", "e")
    told = len(await desk.events())
    letters = await desk.ledgers.dead_letters()
    for letter in letters:
        await desk.ledgers.retry(letter)
    record, chat = await desk.record("token"), await chat_record(desk, "alice")
    assert record is not None
    assert (record.notify, record.chat, chat.chat) == (State.PENDING, State.PENDING, State.PENDING)
    assert (record.attempts, chat.attempts) == (0, 0)
    events = (await desk.events())[told:]
    assert {(event.type, event.channels) for event in events} == {
        (EventType.REARMED, ("notify",)),
        (EventType.REARMED, ("chat",)),
    }
    assert len(events) == len(letters) == 2
    await desk.drain()
    assert (await desk.applied("alice"), await desk.chats("alice")) == ({"token"}, {"e"})


async def test_a_letter_that_has_gone_does_nothing(desk: Desk) -> None:
    """Somebody else has armed it again, or dropped it."""
    await desk.login("alice", "token")
    await desk.kill("token")
    [letter] = await desk.ledgers.dead_letters()
    await desk.ledgers.drop(letter)
    told = len(await desk.events())
    await desk.ledgers.retry(letter)
    record = await desk.record("token")
    assert record is not None
    assert (record.notify, len(await desk.events())) == (State.FAILED, told)


async def test_a_registration_whose_letter_is_dropped_stays_refused(desk: Desk) -> None:
    """In both channels, until it is registered again: nobody is told that it ended."""
    await desk.login("alice", "token", "phone", channels=BOTH, endpoint="e")
    await desk.kill("token")
    await desk.kill_chat("alice", "e")
    for letter in await desk.ledgers.dead_letters():
        await desk.ledgers.drop(letter)
    record = await desk.record("token")
    assert record is not None
    assert (record.notify, record.chat) == (State.FAILED, State.FAILED)
    assert EventType.ENDED not in {event.type for event in await desk.events()}
    assert await desk.desired("alice") == {"token"}


async def test_a_removal_of_chat_that_is_given_up_leaves_nothing(desk: Desk) -> None:
    """Neither of the Chat binding nor of the registration that waits for it; it is told as ended."""
    await desk.login("alice", "token", "phone", channels=CHAT, endpoint="e")
    await desk.drain()
    await desk.logout("alice")
    await desk.kill_chat("alice", "e")
    [letter] = await desk.ledgers.dead_letters()
    await desk.ledgers.drop(letter)
    assert await desk.record("token") is None
    assert await desk.reading.chat_bindings_of([desk.owner("alice")]) == [[]]
    event = (await desk.events())[-1]
    assert (event.type, event.channels) == (EventType.ENDED, ("chat",))


async def refused_removal(there: UpstreamDesk, address: str) -> DeadLetter:
    """What is to go from the upstream, it refuses to let go."""
    lease, taken = await there.take(address)
    dead = Observation(taken.record, Verdict.DEAD, reason="x")
    await there.upstream.settle(there.lane(address), lease, [dead])
    [letter] = await there.ledgers.dead_letters()
    return letter


async def test_what_an_upstream_may_hold_of_a_removal_that_is_given_up_stays_known(there: UpstreamDesk) -> None:
    """As removed, so that nobody adopts it; it is told as ended, under the SID that it had there."""
    sid = await there.apply("alice", "token")
    await there.logout("alice")
    await there.ledgers.drop(await refused_removal(there, "token"))
    record = await there.known("token")
    assert (record.channels, record.notify, [trace.sid for trace in record.traces]) == (0, State.NONE, [sid])
    event = (await there.events())[-1]
    assert (event.type, event.binding_sid) == (EventType.ENDED, str(sid))


async def test_a_chat_binding_of_its_own_is_tried_again(alone: UpstreamDesk) -> None:
    """There is no registration that would have to show it."""
    await adopt(alone, binding("alice", "e", channel=CHAT), source=IMPORT)
    await alone.logout("alice")
    await alone.kill_chat("alice", "e")
    [letter] = await alone.ledgers.dead_letters()
    await alone.ledgers.retry(letter)
    await alone.drain()
    assert await alone.reading.chat_bindings_of([alone.owner("alice")]) == [[]]


async def test_of_a_removal_that_is_given_up_where_nothing_is_known_nothing_stays(there: UpstreamDesk) -> None:
    """It was looked at, and nothing found."""
    await there.login("alice", "token")
    lease, taken = await there.take("token")
    await there.unknown("token", lease, taken.record)
    await there.logout("alice")
    await there.pass_by((await there.known("token")).doubt)
    lease, taken = await there.take("token")
    dead = Observation(taken.record, Verdict.DEAD, Report.IS, reason="x")
    assert await there.upstream.settle(there.lane("token"), lease, [dead]) == 1
    [letter] = await there.ledgers.dead_letters()
    await there.ledgers.drop(letter)
    assert await there.record("token") is None
