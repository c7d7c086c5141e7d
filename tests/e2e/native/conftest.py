"""The application on a real, empty Valkey."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.e2e.compatible.deployment import environment, serving, settings_of
from tests.e2e.native.callers import Native
from tests.servers.valkey import ValkeyServer


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    """The server that these tests share."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture
def environ(valkey: ValkeyServer, tmp_path: Path) -> dict[str, str]:
    """The deployment's settings, on an empty store."""
    valkey.call("FLUSHALL")
    return environment(valkey.url, tmp_path)


@pytest.fixture
async def native(environ: dict[str, str]) -> AsyncIterator[Native]:
    """A caller of the application."""
    async with serving(settings_of(environ)) as api:
        yield Native(api)
