"""A Valkey Cluster of three primaries and their replicas."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from service.redis import Redis, Refused, Script, Unavailable, connect
from service.redis.slots import key_slot
from tests.servers.cluster import ValkeyCluster
from tests.servers.valkey import ValkeyServer, wait_until

COUNT = Script("count", b"#!lua\nreturn redis.call('INCRBY', KEYS[1], ARGV[1])")
#: Their slots: 12182, 5061, 4813: on the third, first and first primary; with "b" (3300) and "d" (11298) on all.
KEYS = [b"{foo}:1", b"{bar}:1", b"b", b"d", b"IS{}", b"{}{x}", b"{{y}", b"{z}}", b"\xff{\x00}", b""]


@pytest.fixture(scope="module")
def cluster() -> Iterator[ValkeyCluster]:
    """Three primaries, three replicas. Tests take slots of their own, and the last one a primary."""
    with ValkeyCluster(replicas=1) as running:
        yield running


@pytest.fixture
async def redis(cluster: ValkeyCluster) -> AsyncIterator[Redis]:
    """A client that knows one seed."""
    client = connect(f"redis+cluster://127.0.0.1:{cluster.nodes[1].port}", timeout=2)
    yield client
    await client.aclose()


def key_on(cluster: ValkeyCluster, node: ValkeyServer, name: str) -> bytes:
    """A key, different for each name, in a slot of the node's."""
    for n in range(10_000):
        key = b"{%s-%d}" % (name.encode(), n)
        if cluster.owner(key_slot(key)) is node:
            return key
    raise AssertionError("no key hashes there")


def test_slots_are_the_servers(cluster: ValkeyCluster) -> None:
    """Hash tags, empty and nested ones too, give the slot that CLUSTER KEYSLOT gives."""
    for key in KEYS:
        assert key_slot(key) == cluster.nodes[0].call("CLUSTER", "KEYSLOT", key), key


async def test_every_key_finds_its_primary(cluster: ValkeyCluster, redis: Redis) -> None:
    """Commands and scripts for keys on all three nodes go straight there, over one connection each."""
    assert {cluster.owner(key_slot(key)) for key in KEYS} == set(cluster.nodes[:3])
    assert await asyncio.gather(*[redis.run(COUNT, key, [1]) for key in KEYS]) == [1] * len(KEYS)
    assert await asyncio.gather(*[redis.command("GET", key, key=key) for key in KEYS]) == [b"1"] * len(KEYS)
    for node in cluster.nodes[:3]:
        listed = node.call("CLIENT", "LIST", "TYPE", "normal")
        assert isinstance(listed, bytes)
        assert listed.count(b"name=bindery ") == 1
        stats = node.call("INFO", "errorstats")
        assert isinstance(stats, bytes)
        assert b"MOVED" not in stats


async def test_commands_without_a_key_and_pings(redis: Redis) -> None:
    """A command without a key goes to any primary, a ping to all."""
    assert await redis.command("ECHO", "x") == b"x"
    await redis.ping()


async def test_a_slot_on_the_move(cluster: ValkeyCluster, redis: Redis) -> None:
    """While a slot migrates, ASK is followed key by key; afterwards MOVED once; each script runs once."""
    source, target, bystander = cluster.nodes[:3]
    key = key_on(cluster, source, "moving")
    slot = key_slot(key)
    absent = key + b"absent"
    assert await redis.run(COUNT, key, [1]) == 1

    target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", cluster.node_id(source))
    source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", cluster.node_id(target))
    assert await redis.run(COUNT, key, [1]) == 2  # still there
    assert await redis.run(COUNT, absent, [1]) == 1  # ASK: made where the slot is going
    assert await asyncio.gather(*[redis.command("INCR", absent, key=absent) for _ in range(50)]) == [*range(2, 52)]

    source.call("MIGRATE", "127.0.0.1", target.port, key, 0, 1000)
    assert await redis.run(COUNT, key, [1]) == 3

    for node in (target, source, bystander):
        node.call("CLUSTER", "SETSLOT", slot, "NODE", cluster.node_id(target))
    assert set(await asyncio.gather(*[redis.run(COUNT, key, [1]) for _ in range(20)])) == set(range(4, 24))
    assert await redis.run(COUNT, absent, [1]) == 52
    assert target.call("CLUSTER", "COUNTKEYSINSLOT", slot) == 2


async def test_keys_half_moved_are_waited_for(cluster: ValkeyCluster, redis: Redis) -> None:
    """TRYAGAIN, for several keys of which one has moved, is repeated until all have."""
    source, target = cluster.nodes[2], cluster.nodes[1]
    key = key_on(cluster, source, "halves")
    slot, other = key_slot(key), key + b"other"
    await redis.command("MSET", key, 1, other, 2, key=key)
    target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", cluster.node_id(source))
    source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", cluster.node_id(target))
    source.call("MIGRATE", "127.0.0.1", target.port, key, 0, 1000)
    call = asyncio.create_task(redis.command("MGET", key, other, key=key))
    done, _ = await asyncio.wait([call], timeout=0.1)
    assert not done
    source.call("MIGRATE", "127.0.0.1", target.port, other, 0, 1000)
    assert await call == [b"1", b"2"]
    for node in (target, source, cluster.nodes[0]):
        node.call("CLUSTER", "SETSLOT", slot, "NODE", cluster.node_id(target))


async def test_a_server_that_is_no_cluster_is_refused(server: ValkeyServer) -> None:
    """A redis+cluster:// URL that leads to a lone server fails at once."""
    redis = connect(f"redis+cluster://127.0.0.1:{server.port}", timeout=5)
    start = time.monotonic()
    with pytest.raises(Refused, match="not a Redis Cluster"):
        await redis.command("GET", "k", key=b"k")
    assert time.monotonic() - start < 2
    await redis.aclose()


async def test_calls_follow_a_failover(cluster: ValkeyCluster) -> None:
    """When a primary dies, the other nodes' keys are served on, and its own by the replica that took over."""
    redis = connect(cluster.url, timeout=0.5)
    dying = cluster.nodes[0]
    lost, kept = key_on(cluster, dying, "lost"), key_on(cluster, cluster.nodes[1], "kept")
    await redis.run(COUNT, lost, [7])
    await redis.run(COUNT, kept, [1])
    replica = cluster.nodes[3]
    wait_until(lambda: replica.call("DBSIZE") == dying.call("DBSIZE"), "the replica has the key")
    dying.kill()
    with pytest.raises(Unavailable):
        await redis.command("GET", lost, key=lost)
    assert await redis.run(COUNT, kept, [1]) == 2
    async with asyncio.timeout(20):
        while True:
            try:
                value = await redis.command("GET", lost, key=lost)
            except Unavailable:
                continue
            break
    assert value == b"7"
    assert await redis.run(COUNT, lost, [1]) == 8
    await redis.ping()
    await redis.aclose()
