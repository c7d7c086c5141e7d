"""Two stores, for what is moved from one to the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from service.bootstrap import runtime
from service.settings import load
from tests.integration.workers.bench import Bench, environment
from tests.servers.valkey import ValkeyServer


@pytest.fixture(scope="session")
def stores() -> Iterator[tuple[ValkeyServer, ValkeyServer]]:
    """The servers that these tests share."""
    with ValkeyServer() as one, ValkeyServer() as other:
        yield one, other


@pytest.fixture
def old(stores: tuple[ValkeyServer, ValkeyServer]) -> ValkeyServer:
    """The one that is moved from, empty."""
    stores[0].call("FLUSHALL")
    return stores[0]


@pytest.fixture
def new(stores: tuple[ValkeyServer, ValkeyServer]) -> ValkeyServer:
    """The one that is moved to, empty."""
    stores[1].call("FLUSHALL")
    return stores[1]


@pytest.fixture
async def here(old: ValkeyServer) -> AsyncIterator[Bench]:
    """The Service that is moved."""
    async with runtime(load(environment(old.url))) as running:
        yield Bench(running)


@pytest.fixture
async def there(new: ValkeyServer) -> AsyncIterator[Bench]:
    """Where it is moved to."""
    async with runtime(load(environment(new.url))) as running:
        yield Bench(running)


@pytest.fixture
async def other_key(new: ValkeyServer) -> AsyncIterator[Bench]:
    """The same under another secret key."""
    async with runtime(load({**environment(new.url), "BINDERY_SECRET_KEY": "o" * 32})) as running:
        yield Bench(running)
