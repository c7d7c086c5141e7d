"""A real store for what processes share about an upstream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from service.bootstrap import runtime
from service.redis import Redis, connect
from service.settings import load
from tests.e2e.compatible.api_process import api_process
from tests.e2e.compatible.deployment import environment as environment_there
from tests.integration.upstream.chat import There, settings_here
from tests.integration.upstream.foreign import Foreign, served
from tests.integration.upstream.pair import Pair, environment, patient
from tests.servers.fault_proxy import FaultProxy
from tests.servers.valkey import ValkeyServer


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    """The server that these tests share."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture
async def redis(valkey: ValkeyServer) -> AsyncIterator[Redis]:
    """A client of it, with nothing in it."""
    valkey.call("FLUSHALL")
    client = connect(valkey.url)
    yield client
    await client.aclose()


@pytest.fixture(scope="session")
def store_there() -> Iterator[ValkeyServer]:
    """The upstream's store."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture(scope="session")
def environ_there(store_there: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The upstream's settings."""
    return environment_there(store_there.url, tmp_path_factory.mktemp("upstream"))


@pytest.fixture(scope="session")
def upstream_url(environ_there: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The upstream: a second Bindery's API, in a process of its own."""
    with api_process(environ_there, tmp_path_factory.mktemp("upstream-api")) as url:
        yield url


@pytest.fixture
async def proxy(upstream_url: str, store_there: ValkeyServer) -> AsyncIterator[FaultProxy]:
    """What stands between, quiet at first; the upstream is empty."""
    store_there.call("FLUSHALL")
    async with FaultProxy(upstream_url) as proxy:
        yield proxy


@pytest.fixture
async def pair(valkey: ValkeyServer, proxy: FaultProxy, upstream_url: str) -> AsyncIterator[Pair]:
    """Both, without a worker."""
    valkey.call("FLUSHALL")
    async with runtime(load(environment(valkey.url, proxy.url))) as running:
        yield Pair(running, proxy, upstream_url)


@pytest.fixture
async def patient_pair(valkey: ValkeyServer, proxy: FaultProxy, upstream_url: str) -> AsyncIterator[Pair]:
    """Both, without a worker; answers may be held for as long as a test needs."""
    valkey.call("FLUSHALL")
    async with runtime(load(patient(valkey.url, proxy.url))) as running:
        yield Pair(running, proxy, upstream_url)


@pytest.fixture(params=["chat", "conversations"])
def api(request: pytest.FixtureRequest) -> str:
    """The API that the upstream is driven through."""
    name: str = request.param
    return name


@pytest.fixture
async def chat(valkey: ValkeyServer, proxy: FaultProxy, upstream_url: str, api: str) -> AsyncIterator[Pair]:
    """Chat at the upstream, Notify here, without a worker."""
    valkey.call("FLUSHALL")
    async with runtime(load(settings_here(valkey, proxy, api))) as running:
        yield Pair(running, proxy, upstream_url)


@pytest.fixture
async def both(valkey: ValkeyServer, proxy: FaultProxy, upstream_url: str) -> AsyncIterator[Pair]:
    """Notify and Chat at the upstream, without a worker."""
    valkey.call("FLUSHALL")
    environ = {**environment(valkey.url, proxy.url), "BINDERY_CHAT_UPSTREAM_URL": proxy.url}
    async with runtime(load(environ)) as running:
        yield Pair(running, proxy, upstream_url)


@pytest.fixture
def there(environ_there: dict[str, str], upstream_url: str) -> There:
    """The upstream's Chat bindings."""
    return There(environ_there, upstream_url)


@pytest.fixture
def quick_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """A moment between tries."""
    monkeypatch.setattr("service.usecases.upstream.applying.backoff_ms", lambda _: 20)
    monkeypatch.setattr("workers.upstream_chat.backoff_ms", lambda _: 20)
    monkeypatch.setattr("service.usecases.comparing.motion._ROUND_SECONDS", 0.02)


@pytest.fixture
async def foreign() -> AsyncIterator[Foreign]:
    """An upstream that is no Bindery, empty."""
    foreign = Foreign()
    async with served(foreign.app()) as foreign.url:
        yield foreign
