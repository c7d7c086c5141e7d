"""The audit, beside the queue: a step of each walk every few seconds, by whichever worker comes first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import TypeAlias

from service.domain.record import Channel
from service.usecases.service import Directory, Service
from service.usecases.upstream.auditing import audit_step
from service.usecases.upstream.probing import probe_step
from service.usecases.upstream.walking import chat_walk_step, walk_step
from workers.steps import take

EVERY_SECONDS = 3.0

_Step: TypeAlias = Callable[[], Awaitable[int | None]]


async def keep_auditing(directory: Directory) -> None:
    """Audit every Service with an upstream, until cancelled; no upstream's audit waits for another's."""
    await asyncio.gather(*(_keep_auditing(*audit) for service in directory.services for audit in _audits(service)))


async def _keep_auditing(service: Service, channel: Channel, steps: Sequence[_Step]) -> None:
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        for step in steps:
            if not service.section.cut_over & channel:
                await take("audit", service, step())


def _audits(service: Service) -> Iterator[tuple[Service, Channel, Sequence[_Step]]]:
    notify, chat = service.configured
    if notify is not None:
        steps = partial(probe_step, notify), partial(audit_step, service, notify), partial(walk_step, service, notify)
        yield service, Channel.NOTIFY, steps
    if chat is not None:
        yield service, Channel.CHAT, (partial(probe_step, chat), partial(chat_walk_step, service, chat))
