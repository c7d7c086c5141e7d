"""A client that gives no reply before a replica has confirmed it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from service.cli.server_check import Finding, examine
from service.redis import OutcomeUnknown, Redis, ReplyError, Script, Unavailable, connect
from service.redis.call import Call, Mark
from service.redis.confirming import Confirming
from service.redis.single import SingleRedis
from tests.servers.valkey import ValkeyServer, wait_until

PUT = Script("put", b"#!lua\nreturn redis.call('HSET', KEYS[1], 'field', ARGV[1])")
GET = Script("get", b"#!lua flags=no-writes\nreturn redis.call('HGET', KEYS[1], 'field')")


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    """A server for these tests."""
    with ValkeyServer(tcp=True) as running:
        yield running


@pytest.fixture(scope="module")
def running_replica(server: ValkeyServer) -> Iterator[ValkeyServer]:
    """A replica of it."""
    with ValkeyServer("--replicaof", f"127.0.0.1 {server.port}", tcp=True) as running:
        yield running


@pytest.fixture
def replica(server: ValkeyServer, running_replica: ValkeyServer) -> Iterator[ValkeyServer]:
    """The replica, in step."""
    running_replica.call("REPLICAOF", "127.0.0.1", server.port)
    wait_until(lambda: in_step(running_replica), "the replica is in step")
    yield running_replica
    running_replica.resume()


@pytest.fixture
async def redis(server: ValkeyServer, replica: ValkeyServer) -> AsyncIterator[Redis]:  # noqa: ARG001  # it must be there
    """A client of the server that asks for one replica's consent, within a sixth of a second."""
    client = connect(server.tcp_url, timeout=0.5, replicas=1)
    await client.command("DEL", "key")
    await client.command("HSET", "key", "field", "first", key=b"key")
    yield client
    await client.aclose()


def in_step(replica: ValkeyServer) -> bool:
    """Whether a replica follows its primary."""
    role = replica.call("ROLE")
    assert isinstance(role, list)
    return bool(role[3] == b"connected")


def appended(server: ValkeyServer) -> int:
    """Bytes of the append-only file, with those that are yet to be written to it."""
    said = server.info("persistence")
    return int(said["aof_current_size"]) + int(said["aof_buffer_length"])


def calls(server: ValkeyServer, command: str) -> int:
    """How often the server has run a command."""
    stats = server.call("INFO", "commandstats")
    assert isinstance(stats, bytes)
    found = re.search(rb"cmdstat_%b:calls=(\d+)" % command.encode(), stats)
    return int(found[1]) if found else 0


async def test_what_is_answered_is_with_the_replica(redis: Redis, replica: ValkeyServer) -> None:
    """At once: no time passes in between."""
    for number in range(50):
        await redis.run(PUT, b"key", [number])
        assert replica.call("HGET", "key", "field") == b"%d" % number


async def test_many_calls_ask_together(redis: Redis, server: ValkeyServer) -> None:
    """What comes while one batch waits for its confirmation goes out as one batch after it."""
    before = calls(server, "wait")
    written = await asyncio.gather(*(redis.command("HSET", "key", f"f{n}", n, key=b"key") for n in range(300)))
    assert sum(1 for one in written if one == 1) == 300
    assert calls(server, "wait") - before <= 20


async def test_without_the_replica_nothing_is_answered(redis: Redis, replica: ValkeyServer) -> None:
    """Writes and reads fail as unknown, in time; once the replica is back, all is well."""
    replica.pause()
    began = time.monotonic()
    with pytest.raises(OutcomeUnknown, match="confirmed"):
        await redis.run(PUT, b"key", ["second"])
    with pytest.raises(OutcomeUnknown, match="confirmed"):
        await redis.run(GET, b"key", [])
    assert time.monotonic() - began < 1.5
    replica.resume()
    assert await redis.run(GET, b"key", []) == b"second"


async def test_what_another_client_has_written_is_no_secret_kept_from_replicas(
    redis: Redis, server: ValkeyServer, replica: ValkeyServer
) -> None:
    """A read that would show what no replica has yet is not answered."""
    assert await redis.run(GET, b"key", []) == b"first"
    replica.pause()
    server.call("HSET", "key", "field", "elsewhere")
    with pytest.raises(OutcomeUnknown):
        await redis.run(GET, b"key", [])
    replica.resume()
    assert await redis.run(GET, b"key", []) == b"elsewhere"


async def test_a_primary_of_the_past_answers_nothing(redis: Redis, server: ValkeyServer, replica: ValkeyServer) -> None:
    """When its replica has become a primary, what is read here may be out of date."""
    replica.call("REPLICAOF", "NO", "ONE")
    replica.call("HSET", "key", "field", "of today")
    with pytest.raises(OutcomeUnknown):
        await redis.run(GET, b"key", [])
    assert server.call("HGET", "key", "field") == b"first"


async def test_an_error_needs_no_consent(redis: Redis, replica: ValkeyServer) -> None:
    """It tells of nothing that could come undone."""
    replica.pause()
    with pytest.raises(ReplyError, match="WRONGTYPE"):
        await redis.command("LPUSH", "key", "x", key=b"key")


async def test_a_ping_tells_whether_there_are_enough_replicas(server: ValkeyServer, redis: Redis) -> None:
    """Of those that are asked for."""
    await redis.ping()
    greedy = connect(server.tcp_url, timeout=0.5, replicas=2)
    with pytest.raises(OutcomeUnknown):
        await greedy.ping()
    await greedy.aclose()


async def test_reads_leave_nothing_in_the_append_only_file(server: ValkeyServer, redis: Redis) -> None:
    """Their beat is for replicas alone."""
    before = appended(server)
    for _ in range(20):
        await redis.run(GET, b"key", [])
    assert calls(server, "eval") >= 20
    assert appended(server) == before


async def test_a_server_that_hangs_is_given_up(server: ValkeyServer, redis: Redis) -> None:
    """Though all that is awaited is its word on the replicas."""
    server.pause()
    assert isinstance(redis, SingleRedis)
    link = redis._channel._link
    assert link is not None
    with pytest.raises(Unavailable):
        await redis.run(GET, b"key", [])
    async with asyncio.timeout(3):
        await link.closed.wait()
    server.resume()
    assert await redis.run(GET, b"key", []) == b"first"


async def test_one_who_leaves_disturbs_nobody(redis: Redis) -> None:
    """Replies that are held back go to those who still wait."""
    tasks = [asyncio.create_task(redis.command("HINCRBY", "key", "n", 1, key=b"key")) for _ in range(100)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    stayed = [result for result in results if isinstance(result, int)]
    assert len(stayed) >= 50
    assert stayed == sorted(stayed)


def test_check_tells_whether_there_are_enough_replicas(server: ValkeyServer, replica: ValkeyServer) -> None:  # noqa: ARG001  # as above
    """Too few are a fault, and replicas whose consent nobody asks for worth a note."""

    def told(replicas: int) -> list[str]:
        found = examine(server.tcp_url, 1.0, durable=True, replicas=replicas)
        return [finding.grade for finding in found if "replicas" in finding.line]

    assert [told(0), told(1), told(2)] == [[Finding.NOTE], [], [Finding.FAULT]]


async def test_nor_does_it_beside_a_key_that_is_missing(
    redis: Redis, server: ValkeyServer, replica: ValkeyServer
) -> None:
    """Of a batch each key has a beat of its own: one that is not there has none, and stands for no other."""
    assert await redis.run(GET, b"key", []) == b"first"
    await redis.run(GET, b"missing", [])
    assert server.call("WAIT", 1, 5000) == 1
    replica.pause()
    results = await asyncio.gather(
        redis.command("EXISTS", "missing", key=b"missing"), redis.run(GET, b"key", []), return_exceptions=True
    )
    assert isinstance(results[1], OutcomeUnknown)


def test_a_key_that_has_moved_holds_up_no_other() -> None:
    """Of a Cluster a slot may be elsewhere by now: its calls are said again there, and those of others are answered."""
    confirming, loop = Confirming(1, 1.0), asyncio.new_event_loop()
    stays, moved = (Call(loop.create_future(), b"", 1.0, key=key) for key in (b"stays", b"moved"))
    asked = [mark for mark, _ in confirming.questions([moved, stays])]
    assert asked == [Mark.BEAT, Mark.BEAT, Mark.WAIT]
    confirming.hold(stays, b"answer")
    confirming.note(Mark.BEAT, ReplyError("MOVED", "1 h:1"))
    confirming.note(Mark.BEAT, 1)
    confirming.note(Mark.WAIT, 1)
    assert stays.future.result() == b"answer"
    loop.close()
