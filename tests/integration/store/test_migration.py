"""While a slot migrates, key by key, a request takes effect as a whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import cast

import pytest

from service.domain.addresses import BindingType
from service.domain.errors import StoreUnavailable
from service.domain.events import EventType
from service.domain.sids import user_sid
from service.redis import connect
from service.redis.slots import key_slot
from tests.integration.store.desk import BOTH, Desk
from tests.servers.cluster import ValkeyCluster
from tests.servers.valkey import ValkeyServer


@pytest.fixture(scope="module")
def cluster() -> Iterator[ValkeyCluster]:
    with ValkeyCluster() as cluster:
        yield cluster


@pytest.fixture
async def desk(cluster: ValkeyCluster) -> AsyncIterator[Desk]:
    client = connect(cluster.url, timeout=0.5)
    yield Desk(client)
    await client.aclose()


@contextlib.contextmanager
def migrating(cluster: ValkeyCluster, desk: Desk) -> Iterator[None]:
    """The Service's slot is on its way to another node; none of its keys has been moved yet."""
    slot = key_slot(desk.section.anchor)
    source = cluster.owner(slot)
    target = next(node for node in cluster.nodes if node is not source)
    target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", cluster.node_id(source))
    source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", cluster.node_id(target))
    try:
        yield
    finally:
        source.call("CLUSTER", "SETSLOT", slot, "STABLE")
        target.call("CLUSTER", "SETSLOT", slot, "STABLE")


def stored(server: ValkeyServer) -> dict[bytes, object]:
    """Everything that a node holds, but for wake flags: these expire."""
    keys = cast(list[bytes], server.call("KEYS", "*"))
    return {key: server.call("DUMP", key) for key in keys if b":w" not in key}


async def attempt(request: Awaitable[object]) -> bool:
    """Whether it is done; else it is refused."""
    try:
        await request
    except StoreUnavailable:
        return False
    return True


async def test_no_request_is_done_by_half(cluster: ValkeyCluster, desk: Desk) -> None:
    """Deletes that find every key are done; whatever meets a missing one is refused, and has changed nothing."""
    logins = [await desk.login("alice", f"a-{n}", f"d-{n}", channels=BOTH, settle=True) for n in range(6)]
    sms = await desk.login("bob", "+15005550006", kind=BindingType.SMS, settle=True)
    await desk.drain()
    # With a dead letter, and a SID of an upstream's that begins alike, every key that these deletes look at is there.
    await desk.login("dave", "dead")
    await desk.kill("dead")
    for address in ("+15005550006", "a-4"):
        aliases = desk.section.anchor + b":a" + desk.fingerprint(address)[:2]
        await desk.redis.command("HSET", aliases, "another", "alias", key=desk.section.anchor)
    with migrating(cluster, desk):
        assert await attempt(desk.delete(sms.record.sid))
        assert await attempt(desk.delete(logins[4].record.sid))
        source = cluster.owner(key_slot(desk.section.anchor))
        before = stored(source)
        assert not await attempt(desk.delete(logins[5].record.sid))
        assert not await attempt(desk.login("carol", "a-0", "d-0"))
        assert not await attempt(desk.login("alice", "rotated", "d-1"))
        assert not await attempt(desk.logout("alice", device="d-2"))
        assert not await attempt(desk.logout("alice", address="a-3"))
        assert not await attempt(desk.login("carol", "new", channels=BOTH))
        assert not await attempt(desk.drain())
        assert stored(source) == before
    # The event is the last thing that a request writes.
    told = {e.user_sid for e in await desk.events() if e.type is EventType.REMOVED}
    assert told == {user_sid(desk.owner("alice")), user_sid(desk.owner("bob"))}
    assert await desk.record("+15005550006") is None
    assert await desk.applied("alice") == {"a-0", "a-1", "a-2", "a-3", "a-5"}
    await desk.drain()
    await desk.logout("dave")
    await desk.drain()
    assert await desk.addresses() == {f"a-{n}": "alice" for n in range(6)}
    assert (await desk.ledgers.sweep()).depth == 0
