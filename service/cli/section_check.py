"""Looks whether the store is ours: written under our secret key, and by no newer version. Nothing is written."""

from __future__ import annotations

import asyncio

from service.bootstrap import runtime
from service.cli.server_check import Finding
from service.domain.errors import BinderyError
from service.settings import Settings
from service.store.section import StoreRefused


def ask_sections(settings: Settings) -> list[Finding]:
    """What keeps a Service from using its part of the store; what keeps several is said once."""
    return asyncio.run(_ask(settings))


async def _ask(settings: Settings) -> list[Finding]:
    async with runtime(settings) as running:
        looking = (service.section.look() for service in running.directory.services)
        said = await asyncio.gather(*looking, return_exceptions=True)
    lines = dict.fromkeys(error.detail for error in said if isinstance(error, StoreRefused))
    # That it is away has been found out before.
    for error in said:
        if isinstance(error, BaseException) and not isinstance(error, BinderyError):
            raise error
    return [Finding(Finding.FAULT, line) for line in lines]
