"""Contract 4: what a backend refuses for good is kept until somebody retries it, drops it or wants something else."""

from service.domain.events import EventType
from service.domain.jobs import Ledger
from service.domain.record import State
from service.store.ledger import Settlement, Verdict
from service.store.registrations import Outcome
from tests.integration.store.desk import BOTH, CHAT, Desk


async def test_dead_letters(desk: Desk) -> None:
    """What is final is a dead letter with its reason: listed, retried, dropped, superseded by the next registration."""

    await desk.login("alice", "token")
    await desk.kill("token")
    [letter] = await desk.ledgers.dead_letters()
    assert letter.reason == "refused"
    assert await desk.ledgers.dead_letter(Ledger.NOTIFY, letter.fingerprint) == letter
    assert await desk.ledgers.dead_letter(Ledger.CHAT, letter.fingerprint) is None
    assert (await desk.ledgers.sweep()).depth == 0
    assert await desk.ledgers.retry(letter) != b""
    assert await desk.ledgers.dead_letters() == []
    await desk.kill("token")
    again = await desk.login("alice", "token")
    assert again.outcome is Outcome.PENDING
    assert await desk.ledgers.dead_letters() == []
    await desk.kill("token")
    [letter] = await desk.ledgers.dead_letters()
    await desk.ledgers.drop(letter)
    assert await desk.ledgers.dead_letters() == []
    await desk.login("bob", "token")
    await desk.drain()
    assert await desk.applied("bob") == {"token"}


async def test_a_letter_goes_with_the_failure_that_it_tells_of(desk: Desk) -> None:
    """A compatible create over a failed registration leaves no letter that could undo it."""
    await desk.login("alice", "token")
    await desk.kill("token")
    [letter] = await desk.ledgers.dead_letters()
    await desk.login("alice", "token", keep=True, settle=True)
    assert await desk.ledgers.dead_letters() == []
    await desk.ledgers.retry(letter)
    assert await desk.applied("alice") == {"token"}


async def test_a_removal_that_is_given_up_leaves_nothing(desk: Desk) -> None:
    """To drop the letter of a removal is to give it up: its record goes."""
    await desk.login("alice", "token")
    await desk.drain()
    await desk.logout("alice")
    await desk.kill("token")
    [letter] = await desk.ledgers.dead_letters()
    await desk.ledgers.drop(letter)
    assert await desk.record("token") is None


async def test_a_removal_that_is_refused_again_stays_a_dead_letter(desk: Desk) -> None:
    """Workers meet it whenever they are at the identity."""
    await desk.login("alice", "one", "phone", channels=BOTH, endpoint="e-1")
    await desk.drain()
    await desk.logout("alice", device="phone")
    await desk.kill_chat("alice", "e-1")
    failed = (await desk.events())[-1]
    assert (failed.type, failed.channels) == (EventType.FAILED, ("chat",))
    [letter] = await desk.ledgers.dead_letters()
    await desk.login("alice", "two", "tablet", channels=BOTH, endpoint="e-2")
    await desk.kill_chat("alice", "e-1")
    [again] = await desk.ledgers.dead_letters()
    assert again.fingerprint == letter.fingerprint
    assert await desk.chats("alice") == {"e-2"}
    await desk.ledgers.retry(again)
    await desk.drain()
    assert await desk.record("one") is None


async def test_the_removal_of_one_channel_that_was_refused_is_tried_again(desk: Desk) -> None:
    """By who registers without it once more, as with anything else that was refused."""
    await desk.login("alice", "token", "phone", channels=BOTH)
    await desk.drain()
    await desk.login("alice", "token", "phone", channels=CHAT)
    assert (await desk.login("alice", "token", "phone", channels=CHAT)).outcome is Outcome.PENDING
    await desk.kill("token")
    await desk.drain()
    again = await desk.login("alice", "token", "phone", channels=CHAT)
    assert (again.outcome, again.record.notify) == (Outcome.PENDING, State.PENDING)
    assert await desk.ledgers.dead_letters() == []
    await desk.drain()
    done = await desk.login("alice", "token", "phone", channels=CHAT)
    assert (done.outcome, done.record.notify) == (Outcome.UNCHANGED, State.NONE)


async def test_the_removal_of_one_channel_is_given_up_alone(desk: Desk) -> None:
    """The other stays, and the registration is a failed one no more."""
    await desk.login("alice", "token", "phone", channels=BOTH)
    await desk.drain()
    await desk.login("alice", "token", "phone", channels=CHAT)
    await desk.kill("token")
    await desk.drain()
    [letter] = await desk.ledgers.dead_letters()
    await desk.ledgers.drop(letter)
    record = await desk.record("token")
    assert record is not None
    assert (record.notify, record.chat) == (State.NONE, State.APPLIED)


async def test_a_removal_begins_with_as_many_tries_as_anything(desk: Desk) -> None:
    """What the binding had failed before is no failure of its removal."""
    await desk.login("alice", "token", "phone", channels=BOTH)
    lane = desk.chat_lane("alice")
    taken = await desk.ledgers.take_chat(lane, 10, 30_000)
    assert taken is not None
    token, [work] = taken
    later = [Settlement(r.fingerprint, r.version, Verdict.LATER) for r in work.records]
    await desk.ledgers.settle_chat(lane, token, work.owner, later, external=False)
    failed = await desk.ledgers.take_chat(lane, 10, 0)
    assert failed is not None
    assert [record.attempts for record in failed[1][0].records] == [1]
    await desk.logout("alice")
    again = await desk.ledgers.take_chat(lane, 10, 30_000)
    assert again is not None
    assert [record.attempts for record in again[1][0].records] == [0]


async def test_a_new_version_takes_the_letters_of_the_old_one_along(desk: Desk) -> None:
    """What they tell of is wanted no more, and to retry them would be to go back."""
    await desk.login("alice", "token", "phone", channels=BOTH)
    await desk.kill("token")
    await desk.kill_chat("alice", "alice:phone")
    assert len(await desk.ledgers.dead_letters()) == 2
    await desk.login("alice", "token", "phone", channels=BOTH, tags=("new",))
    assert await desk.ledgers.dead_letters() == []
