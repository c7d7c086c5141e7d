"""A real Valkey, emptied for each test, and the settings of a deployment on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.compatible.api_process import api_process
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


@pytest.fixture(scope="module")
def api_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a module's API process has its Services and its log."""
    return tmp_path_factory.mktemp("api")


@pytest.fixture(scope="module")
def shared_api(valkey: ValkeyServer, api_directory: Path) -> Iterator[str]:
    """The URL of a module's API process: a start is what takes most of a test's time."""
    with api_process(environment(valkey.url, api_directory), api_directory) as url:
        yield url


@pytest.fixture
def server(shared_api: str, valkey: ValkeyServer) -> str:
    """The same with an empty store, which it makes anew."""
    valkey.call("FLUSHALL")
    return shared_api
