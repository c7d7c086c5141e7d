"""Servers that are away, dead, stopped or not ready: every call ends in time, and nothing is sent twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import pytest

from service.redis import NotSent, OutcomeUnknown, Redis, Unavailable, connect
from tests.servers.valkey import ValkeyServer, wait_until

#: How long after its deadline a call may end, in seconds; the machine that runs the tests may be busy.
SLACK = 2.0


@asynccontextmanager
async def ends_within(low: float, high: float) -> AsyncIterator[None]:
    """What is inside takes between `low` and `high` seconds."""
    start = time.monotonic()
    yield
    assert low <= time.monotonic() - start <= high


async def recovery(redis: Redis) -> float:
    """Seconds until a ping is answered."""
    start = time.monotonic()
    while True:
        try:
            await redis.ping()
        except Unavailable:
            assert time.monotonic() - start < 10
            continue
        return time.monotonic() - start


async def outcome(call: Awaitable[object]) -> type[BaseException] | None:
    """The kind of exception that a call ended with."""
    (result,) = await asyncio.gather(call, return_exceptions=True)
    return type(result) if isinstance(result, BaseException) else None


async def test_nothing_is_there_at_first(server: ValkeyServer, redis: Redis) -> None:
    """Without a server a call fails at its timeout, unsent; once the server is there, calls work."""
    server.stop()
    async with ends_within(0.45, 0.5 + SLACK):
        with pytest.raises(NotSent, match="no connection to Redis") as caught:
            await redis.command("SET", "secret", "secret")
    assert "secret" not in str(caught.value)
    server.start()
    assert await recovery(redis) < 3


async def test_a_short_blip_is_invisible(server: ValkeyServer) -> None:
    """A call made while the server restarts waits for it."""
    redis = connect(server.url, timeout=5)
    await redis.command("SET", "k", "v")
    server.kill()
    call = asyncio.create_task(redis.command("GET", "k"))
    await asyncio.to_thread(server.start)
    assert await call == b"v"
    await redis.aclose()


async def test_killed_with_commands_under_way(server: ValkeyServer, redis: Redis) -> None:
    """What was sent and not answered has an unknown outcome, at once; then all goes on by itself."""
    await redis.ping()
    server.pause()
    calls = [asyncio.create_task(redis.command("INCR", "n", timeout=5)) for _ in range(10)]
    await asyncio.sleep(0.05)
    server.kill()
    async with ends_within(0, SLACK):
        assert [await outcome(call) for call in calls] == [OutcomeUnknown] * 10
    server.start()
    assert await recovery(redis) < 3
    assert server.call("GET", "n") is None


async def test_a_stopped_server_holds_nobody_up(server: ValkeyServer, redis: Redis) -> None:
    """Each call ends at its own timeout; the connection is remade; no command runs twice afterwards."""
    connection = await redis.command("CLIENT", "ID")
    server.pause()
    kinds: list[type[BaseException] | None] = []
    for _ in range(4):
        async with ends_within(0.45, 0.5 + SLACK):
            kinds.append(await outcome(redis.command("INCR", "n")))
    async with ends_within(0.05, 0.1 + SLACK):
        kinds.append(await outcome(redis.command("INCR", "n", timeout=0.1)))
    # Up to the stall limit commands are written; then there is no connection to write them to.
    assert kinds[0] is OutcomeUnknown
    assert kinds[-1] is NotSent
    server.resume()
    assert await recovery(redis) < 3
    count = server.call("GET", "n")
    assert isinstance(count, bytes)
    assert int(count) <= kinds.count(OutcomeUnknown)
    assert await redis.command("CLIENT", "ID") != connection


async def test_a_hiccup_is_waited_out(server: ValkeyServer, redis: Redis) -> None:
    """A server that answers late, but within the timeout, has answered."""
    await redis.ping()
    server.pause()
    call = asyncio.create_task(redis.command("INCR", "n"))
    await asyncio.sleep(0.2)
    server.resume()
    assert await call == 1


async def test_a_server_that_accepts_and_says_nothing(server: ValkeyServer) -> None:
    """Before there has been any connection, a black hole costs a call its timeout and leaves it unsent."""
    redis = connect(server.tcp_url, timeout=0.5)
    server.pause()
    async with ends_within(0.45, 0.5 + SLACK):
        assert await outcome(redis.ping()) is NotSent
    server.resume()
    assert await recovery(redis) < 3
    await redis.aclose()


async def test_what_the_transport_does_not_take_stays_unsent(server: ValkeyServer, redis: Redis) -> None:
    """Behind a write that fills the socket's buffers, commands wait unsent."""
    await redis.ping()
    server.pause()
    large = asyncio.create_task(redis.command("SET", "large", b"x" * 8_000_000))
    await asyncio.sleep(0.01)
    small = asyncio.create_task(redis.command("SET", "small", b"x"))
    assert await outcome(large) is OutcomeUnknown
    assert await outcome(small) is NotSent
    server.resume()
    assert await recovery(redis) < 3
    assert server.call("EXISTS", "small") == 0


async def test_a_large_burst_goes_through_backpressure(redis: Redis) -> None:
    """Megabytes of commands in one tick and the next arrive whole and in order."""
    words = [b"%06d" % n * 2000 for n in range(500)]
    first = asyncio.gather(*[redis.command("ECHO", word, timeout=10) for word in words])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await asyncio.gather(*[redis.command("ECHO", word, timeout=10) for word in words]) == words
    assert await first == words


async def test_a_late_process_does_not_blame_the_server(redis: Redis) -> None:
    """If this process itself was held up past a call's deadline, the reply in the socket still counts."""
    await redis.ping()
    call = asyncio.create_task(redis.command("ECHO", "here", timeout=0.2))
    await asyncio.sleep(0.001)
    time.sleep(0.6)  # noqa: ASYNC251 - the hold-up
    assert await call == b"here"


async def test_a_loading_server_is_waited_for() -> None:
    """LOADING proves that the command did not run: it is repeated until the timeout, then counts as unsent."""
    with ValkeyServer("--loading-process-events-interval-bytes", "1024", "--appendonly", "no") as server:
        server.call("DEBUG", "POPULATE", 2000, "key", 100)
        server.call("SET", "k", "v")
        server.call("SAVE")
        server.stop()
        server.add_option("--key-load-delay", "500")
        server.start()
        with pytest.raises(AssertionError, match="LOADING"):
            server.call("GET", "k")
        redis = connect(server.url, timeout=10)
        # Its last try may still be under way when its time is up.
        with pytest.raises(Unavailable):
            await redis.command("GET", "k", timeout=0.1)
        assert await redis.command("GET", "k") == b"v"
        await redis.aclose()


def is_busy(server: ValkeyServer) -> bool:
    """Whether the server answers BUSY."""
    try:
        server.call("PING")
    except AssertionError as error:
        return "BUSY" in str(error)
    return False


async def test_a_busy_server_is_waited_for(server: ValkeyServer) -> None:
    """BUSY, while somebody's script runs for too long, is waited out as well."""
    server.call("CONFIG", "SET", "busy-reply-threshold", 10)
    runaway, redis = connect(server.url, timeout=10), connect(server.url, timeout=10)
    await redis.ping()
    endless = asyncio.create_task(runaway.command("EVAL", "while true do end", 0))
    await asyncio.to_thread(wait_until, lambda: is_busy(server), "the script is found to run for too long")
    call = asyncio.create_task(redis.command("INCR", "n"))
    await asyncio.sleep(0.1)
    assert not call.done()
    await asyncio.to_thread(server.call, "SCRIPT", "KILL")
    assert await call == 1
    assert await outcome(endless) is not None
    await runaway.aclose()
    await redis.aclose()


async def test_a_replica_is_left_for_the_primary(server: ValkeyServer) -> None:
    """READONLY makes a new connection (the name may lead to a new primary now), and the command is repeated."""
    redis = connect(server.tcp_url, timeout=5)
    await redis.ping()
    first = server.call("CLIENT", "LIST", "TYPE", "normal")
    server.call("REPLICAOF", "127.0.0.1", 1)
    call = asyncio.create_task(redis.command("INCR", "n"))
    await asyncio.sleep(0.1)
    assert not call.done()
    server.call("REPLICAOF", "NO", "ONE")
    assert await call == 1
    wait_until(lambda: server.call("CLIENT", "LIST", "TYPE", "normal") != first, "the connection is another")
    await redis.aclose()
