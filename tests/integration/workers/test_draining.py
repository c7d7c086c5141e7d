"""The drain job against the contract: the last request wins, nothing answered is lost, whatever a backend does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
import structlog

from service.backends import Failure
from service.domain.jobs import Lane, Ledger
from service.domain.record import Channel, Record, State
from service.logs import render_exception
from tests.integration.workers.bench import SERVICE, Bench, Troubled
from tests.waiting import eventually
from workers.sweep import sweep

SECRET = "token-of-alice"

pytestmark = pytest.mark.usefixtures("quick_backoff")


class Hanging(Troubled):
    """An upstream that never answers a call with one certain address in it."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address

    async def put(self, records: Sequence[Record]) -> Sequence[Failure | None]:
        """Or hangs."""
        if any(record.address == self.address for record in records):
            await asyncio.Event().wait()
        return await super().put(records)


@pytest.fixture
def quick_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """A moment between tries, so that a drain is over before the next one is due."""
    monkeypatch.setattr("workers.attempt.backoff_ms", lambda _: 100)
    monkeypatch.setattr("service.usecases.reconciling.backoff_ms", lambda _: 100)


async def test_a_drain_applies_what_is_owed(bench: Bench) -> None:
    """Both ledgers: the Notify binding and the Chat binding exist afterwards, and nothing is owed any more."""
    await bench.login("alice", "token", "phone", channels=Channel.NOTIFY | Channel.CHAT)
    await bench.drain_all()
    record = await bench.record("token")
    assert (record.notify, record.chat) == (State.APPLIED, State.APPLIED)
    assert await bench.depth() == 0


async def test_a_lane_of_thousands_is_drained_in_one_job(bench: Bench) -> None:
    """More than one batch: the job goes on until nothing is due."""
    await bench.login_many(4800)
    await bench.drain_all()
    assert await bench.depth() == 0


async def test_a_newer_registration_during_a_call_wins(bench: Bench) -> None:
    """The call works on what was; its settlement does not match, and what is now is applied after it."""
    backend = bench.service.notify = Troubled()
    await bench.login("alice", "token", tags=("old",))
    backend.go_on.clear()
    draining = asyncio.create_task(bench.drain(bench.lane("token")))
    await backend.called.wait()
    await bench.login("alice", "token", tags=("new",))
    backend.go_on.set()
    await draining
    assert backend.bindings == {"token": ("new",)}
    record = await bench.record("token")
    assert (record.notify, record.attributes.tags) == (State.APPLIED, ("new",))


async def test_the_work_of_a_vanished_worker_is_done_when_its_lease_is_over(bench: Bench) -> None:
    """A lease that nobody settles holds an entry up, and no longer than it lasts."""
    await bench.login("alice", "token")
    assert await bench.service.ledgers.take(bench.lane("token"), 10, 30_000) is not None
    await bench.drain(bench.lane("token"))
    assert (await bench.record("token")).notify == State.PENDING
    await bench.leases_are_over()
    await bench.drain(bench.lane("token"))
    assert await bench.applied(["token"])


async def test_what_fails_is_tried_again_later(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure that may pass costs a pause, and its attempts are counted."""
    monkeypatch.setattr("service.usecases.reconciling.backoff_ms", lambda _: 60_000)
    failures = [Failure("upstream answered 503"), Failure("upstream answered 503")]
    bench.service.notify = Troubled(lambda _: failures.pop() if failures else None)
    await bench.login("alice", "token")
    await bench.drain(bench.lane("token"))
    record = await bench.record("token")
    assert (record.notify, record.attempts) == (State.PENDING, 1)
    await bench.drain(bench.lane("token"))
    assert (await bench.record("token")).attempts == 1
    await bench.delays_are_over()
    await bench.drain(bench.lane("token"))
    assert (await bench.record("token")).attempts == 2
    await bench.delays_are_over()
    await bench.drain(bench.lane("token"))
    record = await bench.record("token")
    assert (record.notify, record.attempts) == (State.APPLIED, 0)


async def test_what_is_final_becomes_a_dead_letter_that_can_be_retried(bench: Bench) -> None:
    """The reason is kept; once mended, a retry applies it."""
    backend = bench.service.notify = Troubled(lambda _: Failure("upstream answered 400", final=True))
    await bench.login("alice", "token")
    await bench.drain(bench.lane("token"))
    [letter] = await bench.service.ledgers.dead_letters()
    assert letter.reason == "upstream answered 400"
    assert (await bench.record("token")).notify == State.FAILED
    backend.behave = lambda _: None
    bench.service.wake(await bench.service.ledgers.retry(letter))
    await bench.drain(bench.lane("token"))
    assert await bench.applied(["token"])
    assert await bench.service.ledgers.dead_letters() == []


async def drain_until_given_up(bench: Bench) -> None:
    """Ten tries may take longer than one job has."""

    async def given_up() -> bool:
        await bench.drain_all()
        return bool(await bench.service.ledgers.dead_letters())

    await eventually(given_up, 60)


async def test_a_record_that_breaks_the_backend_holds_nobody_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its neighbours are applied; it ends as a dead letter that names the exception's class, not its text."""

    def break_at_poison(record: Record) -> None:
        if record.address.startswith("poison"):
            raise ValueError(record.address)

    monkeypatch.setattr("workers.attempt.backoff_ms", lambda _: 0)
    bench.service.notify = Troubled(break_at_poison)
    good = [f"token-{n}" for n in range(100)]
    for address in (*good, "poison"):
        await bench.login(f"of-{address}", address)
    await drain_until_given_up(bench)
    assert await bench.applied(good)
    [letter] = await bench.service.ledgers.dead_letters()
    assert letter.fingerprint == bench.service.fingerprints.address("poison")
    assert letter.reason == "ValueError"
    assert (await bench.record("poison")).attempts == 9


async def test_a_record_that_hangs_the_backend_holds_nobody_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its neighbours in the batch are applied; it is tried again later, and is never a dead letter."""
    monkeypatch.setattr("workers.attempt.CALL_SECONDS", 0.5)
    # Not due again while this test looks.
    monkeypatch.setattr("workers.attempt.backoff_ms", lambda _: 60_000)
    bench.service.notify = Hanging("poison")
    good = [f"token-{n}" for n in range(100)]
    for address in (*good, "poison"):
        await bench.login(f"of-{address}", address)
    await bench.drain_all()
    assert await bench.applied(good)
    record = await bench.record("poison")
    assert (record.notify, record.attempts) == (State.PENDING, 1)
    assert await bench.service.ledgers.dead_letters() == []


async def test_a_chat_binding_that_breaks_the_backend_holds_nobody_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in Notify lanes, even within one identity."""
    poison = bench.service.fingerprints.address("poison")

    def break_at_poison(record: Record) -> None:
        if record.link == poison:
            raise ValueError(record.address)

    monkeypatch.setattr("workers.attempt.backoff_ms", lambda _: 0)
    bench.service.chat = Troubled(break_at_poison)
    for address in ("good", "poison", "fine"):
        await bench.login("alice", address, f"phone-{address}", channels=Channel.CHAT)
    await drain_until_given_up(bench)
    states = [(await bench.record(address)).chat for address in ("good", "poison", "fine")]
    assert states == [State.APPLIED, State.FAILED, State.APPLIED]
    [letter] = await bench.service.ledgers.dead_letters()
    assert letter.reason == "ValueError"


async def test_a_backend_that_does_not_answer_makes_no_dead_letters(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silence is an upstream that is down: tried again however often, and applied when it is back."""
    monkeypatch.setattr("workers.attempt.CALL_SECONDS", 0.01)
    monkeypatch.setattr("workers.attempt.backoff_ms", lambda _: 0)
    monkeypatch.setattr("workers.drain.BUDGET_SECONDS", 0.5)
    backend = bench.service.notify = Troubled()
    backend.go_on.clear()
    await bench.login("alice", "token")

    async def often_tried() -> bool:
        await bench.drain(bench.lane("token"))
        return int((await bench.record("token")).attempts) > 10

    await eventually(often_tried, 60)
    assert await bench.service.ledgers.dead_letters() == []
    backend.go_on.set()
    await bench.drain(bench.lane("token"))
    assert await bench.applied(["token"])


@pytest.mark.parametrize("channel", [Channel.NOTIFY, Channel.CHAT])
async def test_a_cancelled_job_hands_its_leases_back(bench: Bench, channel: Channel) -> None:
    """What it had under way is due at once, for whoever comes next."""
    backend = Troubled()
    bench.service.notify = bench.service.chat = backend
    await bench.login("alice", "token", "phone", channels=channel)
    backend.go_on.clear()
    draining = asyncio.create_task(bench.drain_all())
    await backend.called.wait()
    draining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await draining
    backend.go_on.set()
    await bench.drain_all()
    record = await bench.record("token")
    assert State.APPLIED in (record.notify, record.chat)
    assert await bench.depth() == 0


async def test_a_job_whose_time_is_up_wakes_its_lane_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """No lane keeps a worker to itself; what is left has its next job on the queue."""
    await bench.login("alice", "token")
    await bench.running.queue.aclose()
    await bench.running.queue_store.command("DEL", "bindery:jobs")
    monkeypatch.setattr("workers.drain.BUDGET_SECONDS", 0)
    await bench.drain(bench.lane("token"))
    await bench.running.queue.aclose()
    assert await bench.running.queue_store.command("ZCARD", "bindery:jobs") == 1


async def test_a_job_that_breaks_ends_without_a_word_of_what_it_broke_at(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """arq, which would log the exception's text, never sees it; what was leased is done once the lease is over."""

    def broken(*_: object) -> None:
        raise ValueError(SECRET)

    await bench.login("alice", "token")
    with monkeypatch.context() as during, structlog.testing.capture_logs() as lines:
        during.setattr("workers.batches.handed_back", broken)
        during.setattr("workers.batches.attempt", broken)
        await bench.drain(bench.lane("token"))
    assert [(line["event"], line["outcome"]) for line in lines] == [("job", "broke")]
    # As it is written: by its class and where it happened.
    [written] = [render_exception(None, "error", line)["exception"] for line in lines]
    assert "builtins.ValueError" in written
    assert "in broken" in written
    assert SECRET not in written


async def test_a_sweep_that_breaks_ends_without_a_word_either(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs beside the jobs, and says as little."""

    async def broken(_: object) -> None:
        raise ValueError(SECRET)

    monkeypatch.setattr("service.store.ledger.Ledgers.sweep", broken)
    with structlog.testing.capture_logs() as lines:
        await sweep(bench.running.directory)
    assert [line["event"] for line in lines] == ["sweep_broke"]
    assert SECRET not in render_exception(None, "error", lines[0])["exception"]


async def test_a_job_of_an_unknown_service_ends(bench: Bench) -> None:
    """A queue that outlives a Service's configuration breaks nothing."""
    await bench.drain(Lane("IS" + "f" * 32, Ledger.NOTIFY, 0))


async def test_the_lane_is_drained_after_the_store_has_been_emptied(bench: Bench) -> None:
    """A job for what is gone finds nothing to do."""
    await bench.login("alice", "token")
    await bench.running.store.command("FLUSHALL")
    await bench.drain_all()
    assert await bench.depth() == 0
    assert bench.service.sid == SERVICE
