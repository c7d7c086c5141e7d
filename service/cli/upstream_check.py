"""Looks at each upstream that is configured: does it answer, and does it take our credentials?"""

from __future__ import annotations

import asyncio

from service.bootstrap import runtime
from service.cli.server_check import Finding
from service.settings import Settings
from service.usecases.upstream.standing import ask_upstreams as ask


def ask_upstreams(settings: Settings) -> list[tuple[str, Finding]]:
    """What is to say about each: the Service's name and API, and a finding. One page of bindings is listed."""
    if not any(service.notify_upstream or service.chat_upstream for service in settings.services):
        return []
    return asyncio.run(_ask(settings))


async def _ask(settings: Settings) -> list[tuple[str, Finding]]:
    async with runtime(settings) as running:
        found = await ask(running.directory)
    return [
        (
            f"{standing.service_name} ({standing.api})",
            Finding(Finding.FAULT, f"{standing.url}: {standing.fault}")
            if standing.fault
            else Finding(Finding.OK, f"{standing.url} lists bindings"),
        )
        for standing in found
    ]
