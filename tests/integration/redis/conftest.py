"""A server and a client for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from service.redis import Redis, connect
from tests.servers.valkey import ValkeyServer


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    """A server of the test's own, which it may kill."""
    with ValkeyServer(tcp=True) as running:
        yield running


@pytest.fixture
async def redis(server: ValkeyServer) -> AsyncIterator[Redis]:
    """A client of that server, with a timeout of half a second."""
    client = connect(server.url, timeout=0.5)
    yield client
    await client.aclose()
