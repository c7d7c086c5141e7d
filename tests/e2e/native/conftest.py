"""The application on a real, empty Valkey."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.e2e.compatible.deployment import serving, settings_of
from tests.e2e.native.callers import Native


@pytest.fixture
async def native(environ: dict[str, str]) -> AsyncIterator[Native]:
    """A caller of the application."""
    async with serving(settings_of(environ)) as api:
        yield Native(api)
