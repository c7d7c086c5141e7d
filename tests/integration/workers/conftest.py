"""A real Valkey, emptied for each test, and a runtime on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from service.bootstrap import runtime
from service.settings import load
from tests.integration.workers.bench import Bench, environment
from tests.servers.valkey import ValkeyServer


@pytest.fixture(scope="session")
def shared_valkey() -> Iterator[ValkeyServer]:
    """The server that most of these tests share."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture
def valkey(shared_valkey: ValkeyServer) -> ValkeyServer:
    """That server, empty."""
    shared_valkey.call("FLUSHALL")
    return shared_valkey


@pytest.fixture
async def bench(valkey: ValkeyServer) -> AsyncIterator[Bench]:
    """A runtime on it, without a worker."""
    async with runtime(load(environment(valkey.url))) as running:
        yield Bench(running)
