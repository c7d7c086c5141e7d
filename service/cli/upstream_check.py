"""Looks at each upstream that is configured: does it answer, and does it take our credentials?"""

from __future__ import annotations

import asyncio
import time

from service.backends.twilio import Attempt, UpstreamError
from service.bootstrap import runtime
from service.cli.server_check import Finding
from service.settings import Settings


def ask_upstreams(settings: Settings) -> list[tuple[str, Finding]]:
    """What is to say about each: the Service's name and API, and a finding. One page of bindings is listed."""
    if not any(service.notify_upstream or service.chat_upstream for service in settings.services):
        return []
    return asyncio.run(_ask(settings))


async def _ask(settings: Settings) -> list[tuple[str, Finding]]:
    found = []
    async with runtime(settings) as running:
        for service in running.directory.services:
            for upstream in (service.notify_upstream, service.chat_upstream):
                if upstream is None:
                    continue
                name = f"{service.config.name} ({upstream.config.api})"
                attempt = Attempt(time.monotonic() + 2 * upstream.config.timeout + 2)
                try:
                    await upstream.bindings.page(attempt=attempt)
                except UpstreamError as error:
                    found.append((name, Finding(Finding.FAULT, f"{upstream.config.url}: {error.reason}")))
                else:
                    found.append((name, Finding(Finding.OK, f"{upstream.config.url} lists bindings")))
    return found
