"""The audit, beside the queue: a step of each walk every few seconds, by whichever worker comes first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

from service.domain.record import Channel
from service.usecases.service import Directory, Service
from service.usecases.upstream.auditing import audit_step
from service.usecases.upstream.probing import probe_step
from service.usecases.upstream.walking import chat_walk_step, walk_step
from workers.steps import take

EVERY_SECONDS = 3.0


async def keep_auditing(directory: Directory) -> None:
    """Audit every Service with an upstream, until cancelled."""
    steps = [step for service in directory.services for step in _steps(service)]
    while steps:
        await asyncio.sleep(EVERY_SECONDS)
        for service, channel, step in steps:
            if not service.section.cut_over & channel:
                await take("audit", service, step())


def _steps(service: Service) -> Iterator[tuple[Service, Channel, Callable[[], Awaitable[int | None]]]]:
    notify, chat = service.configured
    if notify is not None:
        yield service, Channel.NOTIFY, partial(probe_step, notify)
        yield service, Channel.NOTIFY, partial(audit_step, service, notify)
        yield service, Channel.NOTIFY, partial(walk_step, service, notify)
    if chat is not None:
        yield service, Channel.CHAT, partial(probe_step, chat)
        yield service, Channel.CHAT, partial(chat_walk_step, service, chat)
