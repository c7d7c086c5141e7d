"""A primary that Sentinel watches."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from service.redis import NotSent, Script, Unavailable, connect
from tests.servers.sentinel import ValkeySentinel

SET = Script("set", b"#!lua\nreturn redis.call('SET', KEYS[1], ARGV[1])")


@pytest.fixture(scope="module")
def watched() -> Iterator[ValkeySentinel]:
    """A primary, its replica and three Sentinels."""
    with ValkeySentinel() as running:
        yield running


async def test_the_primary_is_found_through_any_sentinel(watched: ValkeySentinel) -> None:
    """Sentinels that are dead or silent are passed over; the server found is the primary."""
    silent = watched.sentinels[1]
    silent.pause()
    ports = [1, silent.port, watched.sentinels[0].port]
    redis = connect("redis+sentinel://" + ",".join(f"127.0.0.1:{port}" for port in ports) + "/bindery-primary/2")
    assert await redis.run(SET, b"k", ["v"]) == b"OK"
    assert watched.servers[0].call("INFO", "keyspace") != b""
    await redis.aclose()
    silent.resume()


async def test_an_unknown_name_is_told(watched: ValkeySentinel) -> None:
    """If no Sentinel knows the name, the call fails unsent and says so."""
    redis = connect(watched.url.replace("bindery-primary", "another"), timeout=0.3)
    with pytest.raises(NotSent, match="no Sentinel knows"):
        await redis.ping()
    await redis.aclose()


async def test_a_replica_is_not_taken_for_the_primary(watched: ValkeySentinel) -> None:
    """A server that Sentinel names but that says itself it is a replica gets no command."""
    replica = watched.servers[1].port
    for sentinel in watched.sentinels:
        sentinel.call("SENTINEL", "MONITOR", "mistaken", "127.0.0.1", replica, 2)
    redis = connect(watched.url.replace("bindery-primary", "mistaken"), timeout=0.3)
    with pytest.raises(NotSent, match="not the primary"):
        await redis.ping()
    await redis.aclose()
    for sentinel in watched.sentinels:
        sentinel.call("SENTINEL", "REMOVE", "mistaken")


async def test_calls_follow_a_failover(watched: ValkeySentinel) -> None:
    """When the primary dies, calls reach the replica that took its place, and find its data; scripts reload."""
    redis = connect(watched.url, timeout=0.5)
    await redis.run(SET, b"k", ["before"])
    await redis.command("WAIT", 1, 1000, timeout=2)
    former, latter = watched.servers
    former.kill()
    async with asyncio.timeout(20):
        while True:
            try:
                value = await redis.command("GET", "k")
            except Unavailable:
                continue
            break
    assert value == b"before"
    assert await redis.run(SET, b"k", ["after"]) == b"OK"
    assert latter.call("GET", "k") == b"after"
    assert watched.primary_port() == latter.port
    await redis.aclose()
