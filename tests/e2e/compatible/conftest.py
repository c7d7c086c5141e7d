"""A real Valkey, emptied for each test, and the application on top of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.e2e.compatible.deployment import CHAT, SERVICE, Api, serving, settings_of


@pytest.fixture
async def api(environ: dict[str, str]) -> AsyncIterator[Api]:
    """A caller of the application."""
    async with serving(settings_of(environ)) as api:
        yield api


@pytest.fixture(params=["", "/notify"])
def notify_path(request: pytest.FixtureRequest) -> str:
    """The Notify bindings of the Service, at the root and under the product's prefix."""
    return f"{request.param}/v1/Services/{SERVICE}/Bindings"


@pytest.fixture(params=["", "/chat"])
def chat_path(request: pytest.FixtureRequest) -> str:
    """The Chat Service, at the root and under the product's prefix."""
    return f"{request.param}/v2/Services/{CHAT}"
