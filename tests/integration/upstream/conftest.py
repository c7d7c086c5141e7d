"""A real store for what processes share about an upstream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from service.redis import Redis, connect
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
