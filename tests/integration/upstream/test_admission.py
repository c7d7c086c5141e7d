"""Admission to an upstream: limits, holds and the breaker, as several processes see them through one store."""

from __future__ import annotations

import asyncio
import time

import pytest

from service.backends.twilio import Admission, NotDone
from service.backends.twilio.admission import patience
from service.domain.services import Upstream
from service.redis import Redis, connect
from tests.servers.valkey import ValkeyServer

WORKERS = 4


def upstream(rate: float = 1000.0, user: str = "AC" + "0" * 32) -> Upstream:
    """An account at an upstream that is never called here."""
    return Upstream(api="notify", url="http://upstream.test", sid="IS" + "0" * 32, user=user, secret="s", rate=rate)


def workers(redis: Redis, rate: float = 1000.0) -> list[Admission]:
    """The ways of four processes to the same account."""
    return [Admission(redis, upstream(rate)) for _ in range(WORKERS)]


async def admitted(ways: list[Admission], seconds: float) -> list[float]:
    """When calls were admitted, with many wanting to call all the time for so many seconds."""
    began, times = time.monotonic(), list[float]()

    async def call(way: Admission) -> None:
        while time.monotonic() - began < seconds:
            try:
                await way.admit()
            except NotDone as error:
                await asyncio.sleep(min(error.retry_after or 0.01, 0.05))
            else:
                times.append(time.monotonic() - began)

    await asyncio.gather(*(call(way) for way in ways for _ in range(8)))
    return [at for at in times if at <= seconds]


async def later(valkey: ValkeyServer, way: Admission) -> None:
    """As if the pause that the breaker makes were over."""
    valkey.call("HSET", way.key, "until", "0")


async def test_all_processes_share_one_rate(redis: Redis) -> None:
    """However many ask, what they get together is the account's rate, and a tenth of a second's worth at once."""
    times = await admitted(workers(redis, rate=200), 1.0)
    # Less than 200 only where the machine is too busy to ask.
    assert len(times) >= 50
    # None before its time; a machine that is busy makes them late.
    assert all(number <= 200 * at + 20 + 1 for number, at in enumerate(sorted(times), start=1))


@pytest.mark.proof
async def test_fifty_a_second_over_half_a_minute(redis: Redis) -> None:
    """50/s ± 5 % over 30 s, with four workers."""
    times = await admitted(workers(redis, rate=50), 30.0)
    assert 50 * 30 * 0.95 <= len(times) <= 50 * 30 * 1.05


async def test_slots_are_given_out_in_order(redis: Redis) -> None:
    """Whoever asks first goes first: nobody polls, nobody starves."""
    order: list[int] = []

    async def call(number: int, way: Admission) -> None:
        await way.admit()
        order.append(number)

    ways = workers(redis, rate=100)
    async with asyncio.TaskGroup() as group:
        for n in range(40):
            group.create_task(call(n, ways[n % WORKERS]))
    assert order == sorted(order)


async def test_a_long_queue_turns_callers_away(redis: Redis) -> None:
    """Slots are given out for two seconds ahead; who comes later is told when to come again."""
    way, other = Admission(redis, upstream(rate=2)), Admission(redis, upstream(rate=2))
    await way.admit()
    waiting = [asyncio.create_task(way.admit()) for _ in range(4)]
    # Commands on one connection keep their order: this one comes after theirs.
    await asyncio.sleep(0)
    await redis.ping()
    with pytest.raises(NotDone) as caught:
        await other.admit()
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= patience(1)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_deadline_bounds_the_wait(redis: Redis) -> None:
    """Who has no time for its slot does not take it from others."""
    way = Admission(redis, upstream(rate=4))
    await way.admit()
    with pytest.raises(NotDone) as caught:
        await way.admit(deadline=time.monotonic() + 0.05)
    assert caught.value.retry_after is not None
    assert 0.1 < caught.value.retry_after <= 0.25
    assert await way.admit() is False


async def test_accounts_do_not_share(redis: Redis) -> None:
    """One account's hold is not another's."""
    one, other = Admission(redis, upstream()), Admission(redis, upstream(user="AC" + "1" * 32))
    await one.hold(60)
    with pytest.raises(NotDone):
        await one.admit()
    await other.admit()


async def test_a_hold_is_for_all_and_ends(redis: Redis) -> None:
    """Retry-After counts for every process, and no longer than it says."""
    one, two, *_ = workers(redis)
    await one.hold(0.3)
    with pytest.raises(NotDone) as caught:
        await two.admit()
    assert caught.value.retry_after is not None
    assert 0.1 < caught.value.retry_after <= 0.34
    await asyncio.sleep(caught.value.retry_after)
    await two.admit()


async def fail(way: Admission, times: int = 10) -> None:
    """So many calls that fail."""
    for _ in range(times):
        await way.done(False, good=False)


async def test_the_breaker_opens_on_a_rate_of_failures(redis: Redis) -> None:
    """Half of ten calls or more; for every process; and it shows."""
    one, two, *_ = workers(redis)
    for _ in range(11):
        await one.admit()
        await one.done(False, good=True)
    await fail(one)
    await two.admit()
    assert (await two.health()).state == "closed"
    await fail(one, 1)
    health = await two.health()
    assert (health.state, health.good, health.bad) == ("open", 11, 11)
    assert 0 < health.pause_seconds <= 1.25
    with pytest.raises(NotDone, match="breaker open") as caught:
        await two.admit()
    assert caught.value.retry_after is not None
    assert caught.value.retry_after <= 1.25


async def test_a_few_failures_open_nothing(redis: Redis) -> None:
    """Of nine calls nobody can tell a rate."""
    way = Admission(redis, upstream())
    await fail(way, 9)
    await way.admit()


async def test_after_the_pause_one_call_tries(redis: Redis, valkey: ValkeyServer) -> None:
    """One process probes while the others wait; three good probes close the breaker, and the pace is kept."""
    one, two, *_ = workers(redis, rate=100)
    await fail(one)
    await later(valkey, one)
    assert await one.admit() is True
    with pytest.raises(NotDone, match="breaker probing"):
        await two.admit()
    await one.done(True, good=True)
    for way in (two, one):
        await later(valkey, one)
        assert await way.admit() is True
        await way.done(True, good=True)
    assert (await two.health()).state == "closed"
    times = await admitted([one, two], 0.5)
    assert len(times) <= 50 + 2


async def test_a_probe_that_fails_makes_the_pause_longer(redis: Redis, valkey: ValkeyServer) -> None:
    """Doubling, up to half a minute."""
    way = Admission(redis, upstream())
    await fail(way)
    pauses = []
    for _ in range(7):
        pauses.append((await way.health()).pause_seconds)
        await later(valkey, way)
        assert await way.admit() is True
        await way.done(True, good=False)
    assert pauses[0] <= 1.25
    assert all(0.75 * 2**n - 0.1 <= pause <= 1.25 * 2**n for n, pause in enumerate(pauses[:5]))
    assert pauses[-1] <= 1.25 * 30


async def test_a_probe_that_never_reports_blocks_nothing(redis: Redis, valkey: ValkeyServer) -> None:
    """A worker that is killed while it probes is succeeded by another."""
    one, two, *_ = workers(redis)
    await fail(one)
    await later(valkey, one)
    assert await one.admit() is True
    await later(valkey, one)
    assert await two.admit() is True


async def test_calls_of_before_do_not_count_while_it_is_open(redis: Redis) -> None:
    """What was under way when it opened, and ends now, says nothing new."""
    way = Admission(redis, upstream())
    await fail(way)
    pause = (await way.health()).pause_seconds
    await fail(way)
    health = await way.health()
    assert (health.state, health.bad) == ("open", 10)
    assert health.pause_seconds <= pause


async def test_a_clock_that_was_set_back_stops_nobody_for_long(redis: Redis, valkey: ValkeyServer) -> None:
    """What an earlier clock of the store put hours ahead is no further ahead than it could have been put now."""
    way = Admission(redis, upstream(rate=100))
    await way.admit()
    hours_ahead = str(int(time.time() * 1000) + 7_200_000)
    valkey.call("HSET", way.key, "state", "open", "trips", "1", "until", hours_ahead, "since", hours_ahead)
    valkey.call("HSET", way.key, "hold", hours_ahead, "slot", hours_ahead)
    health = await way.health()
    assert health.pause_seconds <= 37.5
    assert health.held_seconds <= 330
    valkey.call("HSET", way.key, "state", "closed", "hold", "0")
    with pytest.raises(NotDone) as caught:
        await way.admit()
    assert caught.value.retry_after is not None
    assert caught.value.retry_after <= 10


async def test_without_the_store_nothing_is_admitted() -> None:
    """What a call did could not be written down."""
    server = ValkeyServer()
    server.start()
    redis = connect(server.url, timeout=0.3)
    way = Admission(redis, upstream())
    await way.admit()
    server.kill()
    with pytest.raises(NotDone, match="could not be asked"):
        await way.admit()
    await way.done(False, good=False)
    await way.hold(1)
    await redis.aclose()
    server.__exit__(None, None, None)
