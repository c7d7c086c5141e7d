"""How late what is applied was, as the metrics show it: from the answer, whatever came in between."""

from __future__ import annotations

import pytest

from service.backends import Failure
from service.domain.jobs import Ledger
from service.domain.record import Channel, Record
from service.store.ledger import Owed
from service.telemetry.catalogue import APPLIED, SETTLED
from service.usecases.ending import log_out
from tests.integration.workers.bench import Bench, Troubled
from workers.lateness import delay_seconds


def applied(ledger: Ledger = Ledger.NOTIFY) -> tuple[float, float]:
    """How many delays have been seen of the Service, and what they come to in seconds."""
    found = {s.name: s.value for m in APPLIED.collect() for s in m.samples if s.labels["ledger"] == ledger.name.lower()}
    prefix = "bindery_answered_to_applied_seconds"
    return found.get(f"{prefix}_count", 0.0), found.get(f"{prefix}_sum", 0.0)


def settled(verdict: str) -> float:
    """How many entries of the Notify ledger were settled so."""
    value: float = SETTLED.labels("default", "notify", verdict)._value.get()
    return value


async def test_a_registration_and_its_logout_are_each_seen_once(bench: Bench) -> None:
    """Notify and Chat by themselves, to the millisecond."""
    (count, total), (chats, _) = applied(), applied(Ledger.CHAT)
    held, gone = settled("held"), settled("gone")
    await bench.login("alice", "token", "phone", channels=Channel.NOTIFY | Channel.CHAT)
    await bench.drain_all()
    assert (applied()[0] - count, applied(Ledger.CHAT)[0] - chats) == (1, 1)
    assert await log_out(bench.service, "alice") == 1
    await bench.drain_all()
    assert (applied()[0] - count, applied(Ledger.CHAT)[0] - chats) == (2, 2)
    assert 0 < applied()[1] - total < 5
    assert (settled("held") - held, settled("gone") - gone) == (1, 1)


async def test_what_failed_first_is_counted_from_its_answer(bench: Bench) -> None:
    """Not from the end of its backoff; failures are no applications."""
    count, total = applied()
    fails = [Failure("not now"), None]
    bench.service.notify = Troubled(lambda _: fails.pop(0))
    await bench.login("alice", "token")
    later = settled("later")
    await bench.drain(bench.lane("token"))
    assert applied()[0] == count
    assert settled("later") - later == 1
    record = await bench.record("token")
    lane = b"%b:n%d" % (bench.service.section.anchor, bench.lane("token").number)
    # It was accepted ten minutes ago, and put off until a second ago.
    clock = await bench.running.store.command("TIME", key=lane)
    assert isinstance(clock, list)
    now_ms = int(str(clock[0], "ascii") if isinstance(clock[0], bytes) else "0") * 1000
    await _backdate(bench, record, 600)
    await bench.running.store.command("ZADD", lane, now_ms - 1000, record.fingerprint, key=lane)
    await bench.drain(bench.lane("token"))
    assert applied()[0] - count == 1
    assert 599 < applied()[1] - total < 605


async def _backdate(bench: Bench, record: Record, seconds: int) -> None:
    key = b"%b:r%b" % (bench.service.section.anchor, record.fingerprint[:2])
    raw = await bench.running.store.command("HGET", key, record.fingerprint, key=key)
    assert isinstance(raw, bytes)
    created = record.created.to_bytes(4, "little")
    assert created in raw
    older = raw.replace(created, (record.created - seconds).to_bytes(4, "little"), 1)
    await bench.running.store.command("HSET", key, record.fingerprint, older, key=key)


async def test_a_lease_that_ran_out_tells_no_time(bench: Bench) -> None:
    """The entry of a worker that was killed is owed since its registration, not since the lease's end."""
    await bench.login("alice", "token")
    lane = bench.lane("token")
    first = await bench.service.ledgers.take(lane, 10, 0)
    assert first is not None
    assert first.owed[0].since_ms is not None
    assert 0 <= first.owed[0].taken_ms - first.owed[0].since_ms < 5000
    again = None
    while again is None:
        again = await bench.service.ledgers.take(lane, 10, 5000)
    assert again.owed[0].since_ms is None


@pytest.mark.parametrize(
    ("owed", "attempts", "channels", "seconds"),
    [
        (Owed(999_500, 1_000_000), 0, 1, 0.75),
        (Owed(999_500, 1_000_000), 2, 1, 100.25),
        (Owed(None, 1_000_000), 0, 1, 100.25),
        (Owed(None, 1_000_000), 0, 0, 10.25),
        (Owed(1_000_100, 1_000_000), 0, 1, 0.25),
    ],
    ids=["first try", "put off", "lease lost", "removal, lease lost", "clock set back"],
)
async def test_what_a_delay_is_reckoned_from(
    bench: Bench, owed: Owed, attempts: int, channels: int, seconds: float
) -> None:
    """The score where it is the answer's time; else the record's."""
    await bench.login("alice", "token")
    record = await bench.record("token")
    record.created, record.updated = 900, 990
    record.attempts, record.channels = attempts, channels
    assert delay_seconds(record, owed, 0.25) == pytest.approx(seconds)
