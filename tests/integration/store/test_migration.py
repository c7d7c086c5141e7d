"""While a slot migrates, key by key, a request takes effect as a whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from itertools import count

import pytest

from service.domain.addresses import BindingType
from service.domain.errors import BinderyError
from service.domain.events import EventType
from service.domain.sids import user_sid
from service.redis import connect
from service.redis.slots import key_slot
from tests.integration.store.desk import BOTH, Desk
from tests.servers.cluster import ValkeyCluster


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


async def test_no_request_is_done_by_half(cluster: ValkeyCluster, desk: Desk) -> None:
    """Registrations, takeovers, logouts and deletes meet missing keys: each is done or refused, never both."""
    for n in range(6):
        await desk.login("alice", f"a-{n}", f"d-{n}", channels=BOTH, settle=True)
    sms = await desk.login("bob", "+15005550006", kind=BindingType.SMS, settle=True)
    await desk.drain()
    # With a dead letter every key that a delete looks at is there, so that it is not refused from the start.
    await desk.login("dave", "dead")
    await desk.kill("dead")
    number = count()

    async def attempt(request: object) -> None:
        with contextlib.suppress(BinderyError):
            await request  # type: ignore[misc]  # any of the desk's requests

    with migrating(cluster, desk):
        await attempt(desk.delete(sms.record.sid))
        await attempt(desk.login("carol", "a-0", "d-0"))
        await attempt(desk.login("alice", "rotated", "d-1"))
        await attempt(desk.logout("alice", device="d-2"))
        await attempt(desk.logout("alice", address="a-3"))
        await attempt(desk.login("carol", f"new-{next(number)}", channels=BOTH))
        await attempt(desk.drain())
    # The event is the last thing that a request writes.
    told = any(e.user_sid == user_sid(desk.owner("bob")) and e.type is EventType.REMOVED for e in await desk.events())
    assert told == (await desk.record("+15005550006") is None)
    await desk.drain()
    await desk.logout("dave")
    await desk.drain()
    listed = await desk.addresses()
    for identity in ("alice", "bob", "carol"):
        mine = {address for address, owner in listed.items() if owner == identity}
        assert await desk.desired(identity) == mine
        assert await desk.applied(identity) == mine
    assert (await desk.ledgers.sweep()).depth == 0
