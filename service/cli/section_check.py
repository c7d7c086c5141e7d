"""Looks whether the store is ours: written under our secret key, and by no newer version. Nothing is written."""

from __future__ import annotations

import asyncio

from service.bootstrap import runtime
from service.cli.server_check import Finding
from service.domain.errors import BinderyError, StoreRefused
from service.settings import Settings


def ask_sections(settings: Settings, *, well: bool) -> list[Finding]:
    """What keeps a Service from using its part of the store; what keeps several is said once.

    It is asked for as API and workers do: a server that is ``well`` may refuse them all the same.
    """
    return asyncio.run(_ask(settings, BinderyError if well else StoreRefused))


async def _ask(settings: Settings, told: type[BinderyError]) -> list[Finding]:
    async with runtime(settings) as running:
        looking = (service.section.look() for service in running.directory.services)
        said = await asyncio.gather(*looking, return_exceptions=True)
    # That it is away has been found out before, where it is not well.
    lines = dict.fromkeys(error.detail for error in said if isinstance(error, told))
    for error in said:
        if isinstance(error, BaseException) and not isinstance(error, BinderyError):
            raise error
    return [Finding(Finding.FAULT, line) for line in lines]
