"""Every store test runs on one server and on a Cluster of three: a key outside its Service's slot would fail there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from service.domain.record import Channel
from service.redis import Redis, connect
from tests.integration.store.desk import Desk
from tests.integration.store.upstream_desk import UpstreamDesk
from tests.servers.cluster import ValkeyCluster
from tests.servers.valkey import ValkeyServer


@pytest.fixture(scope="session")
def standalone() -> Iterator[str]:
    with ValkeyServer() as server:
        yield server.url


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    with ValkeyCluster() as cluster:
        yield cluster.url


# Not of the session itself: it would be made anew whenever the parameter changes, and a Cluster takes seconds.
@pytest.fixture(params=["standalone", "cluster"])
def store_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture
async def redis(store_url: str) -> AsyncIterator[Redis]:
    client = connect(store_url, timeout=5)
    yield client
    await client.aclose()


@pytest.fixture
async def desk(redis: Redis) -> Desk:
    return Desk(redis)


@pytest.fixture
def desks(redis: Redis) -> Callable[..., Desk]:
    """Makes Services with other policies."""
    return lambda **policy: Desk(redis, **policy)


@pytest.fixture
async def alone(redis: Redis) -> UpstreamDesk:
    """A Service whose backend is the store, as it is after moving."""
    return UpstreamDesk(redis, external=Channel(0))
