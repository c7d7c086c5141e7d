"""The audit, beside the queue: a step of each walk every few seconds, by whichever worker comes first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import structlog

from service.backends.twilio import UpstreamError
from service.domain.errors import BinderyError
from service.domain.record import Channel
from service.usecases.service import Directory, Service
from service.usecases.upstream.auditing import audit_step
from service.usecases.upstream.probing import probe_step
from service.usecases.upstream.walking import chat_walk_step, walk_step

EVERY_SECONDS = 3.0

_log = structlog.get_logger(__name__)


async def keep_auditing(directory: Directory) -> None:
    """Audit every Service with an upstream, until cancelled."""
    steps = [step for service in directory.services for step in _steps(service)]
    while steps:
        await asyncio.sleep(EVERY_SECONDS)
        for service, channel, step in steps:
            if not service.section.cut_over & channel:
                await _take(service, step)


def _steps(service: Service) -> Iterator[tuple[Service, Channel, Callable[[], Awaitable[int | None]]]]:
    notify, chat = service.configured
    if notify is not None:
        yield service, Channel.NOTIFY, partial(probe_step, notify)
        yield service, Channel.NOTIFY, partial(audit_step, service, notify)
        yield service, Channel.NOTIFY, partial(walk_step, service, notify)
    if chat is not None:
        yield service, Channel.CHAT, partial(probe_step, chat)
        yield service, Channel.CHAT, partial(chat_walk_step, service, chat)


async def _take(service: Service, step: Callable[[], Awaitable[int | None]]) -> None:
    try:
        count = await step()
    except (BinderyError, UpstreamError) as error:
        _log.debug("audit_failed", service=service.sid, error=type(error).__name__)
    except Exception as error:  # noqa: BLE001  # an edge: what breaks one step is no end of auditing
        _log.error("audit_broke", service=service.sid, exc_info=error)
    else:
        if count:
            _log.info("audit", service=service.sid, not_as_known=count)
