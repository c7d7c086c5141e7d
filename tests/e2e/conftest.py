"""A real Valkey, emptied for each test, and the settings of a deployment on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.compatible.deployment import environment
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
