"""A second Bindery as the upstream, a proxy that makes faults before it, and clients that see only the proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from service.backends.twilio import Account, Admission, ChatBindings, NotifyBindings
from service.domain.services import Upstream
from service.redis import Redis, connect
from tests.contract.upstream import Clients, RunningUpstream, upstream
from tests.e2e.compatible.api_process import api_process
from tests.e2e.compatible.deployment import environment
from tests.servers.fault_proxy import FaultProxy
from tests.servers.valkey import ValkeyServer


@pytest.fixture(scope="session")
def store_there() -> Iterator[ValkeyServer]:
    """The upstream's store."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture(scope="session")
def upstream_process(store_there: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningUpstream]:
    """The upstream: an API process of its own, shared by these tests."""
    directory: Path = tmp_path_factory.mktemp("upstream")
    environ = environment(store_there.url, directory)
    with api_process(environ, directory) as url:
        yield RunningUpstream(url, environ)


@pytest.fixture
def there(upstream_process: RunningUpstream, store_there: ValkeyServer) -> RunningUpstream:
    """The upstream, without any bindings."""
    store_there.call("FLUSHALL")
    return upstream_process


@pytest.fixture(scope="session")
def store_here() -> Iterator[ValkeyServer]:
    """The store that the clients share their manners through."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture
async def redis(store_here: ValkeyServer) -> AsyncIterator[Redis]:
    """That store, empty."""
    store_here.call("FLUSHALL")
    client = connect(store_here.url)
    yield client
    await client.aclose()


@pytest.fixture
async def proxy(there: RunningUpstream) -> AsyncIterator[FaultProxy]:
    """What stands between, quiet at first."""
    async with FaultProxy(there.url) as proxy:
        yield proxy


@pytest.fixture
async def clients(proxy: FaultProxy, redis: Redis) -> AsyncIterator[Clients]:
    """A client of each of the three APIs."""
    configured: list[Upstream] = [upstream(proxy.url, api) for api in ("notify", "chat", "conversations")]
    accounts = [Account(one, Admission(redis, one)) for one in configured]
    yield Clients(NotifyBindings(accounts[0]), ChatBindings(accounts[1]), ChatBindings(accounts[2]))
    for account in accounts:
        await account.aclose()
