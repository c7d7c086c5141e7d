"""What a worker sees of the ledgers and of the store, in the metrics."""

from __future__ import annotations

import asyncio
import time

import structlog

from service.domain.jobs import Ledger
from service.redis import RedisError, info_of
from service.store.ledger import Swept, Verdict
from service.telemetry import catalogue
from service.telemetry.upstreams import show_breaker
from service.usecases.service import Directory, Service

_EVERY_SECONDS = 10.0

_log = structlog.get_logger(__name__)


def introduce(directory: Directory) -> None:
    """Begin with zeros: a rate needs something to begin with; and with a sweep: one that never comes is late, too."""
    catalogue.introduce("worker")
    for service in directory.services:
        catalogue.SWEPT.labels(service.config.name).set(time.time())
        catalogue.LANES_SWEPT.labels(service.config.name)
        for ledger in Ledger:
            catalogue.JOBS.labels(ledger.name.lower(), "broke")
            for verdict in Verdict:
                catalogue.SETTLED.labels(service.config.name, ledger.name.lower(), verdict.name.lower())


def show(service: Service, seen: Swept) -> None:
    """Put what a sweep saw into the metrics."""
    name = service.config.name
    for ledger, state in seen.ledgers.items():
        of_ledger = name, ledger.name.lower()
        catalogue.LEDGER_DEPTH.labels(*of_ledger).set(state.depth)
        catalogue.LEDGER_OVERDUE.labels(*of_ledger).set(state.due)
        catalogue.LEDGER_OLDEST.labels(*of_ledger).set(state.oldest_ms / 1000)
    catalogue.DEAD_LETTERS.labels(name).set(seen.dead)
    catalogue.EVENTS.labels(name).set(seen.events)
    catalogue.SWEPT.labels(name).set(time.time())


async def keep_looking(directory: Directory) -> None:
    """Every ten seconds, what memory the servers of all Services use and may use, and the breakers; until cancelled."""
    while True:
        for service in directory.services:
            try:
                await _weigh(service)
            except RedisError as error:
                # It is away, which others say too; or it may not be asked.
                _log.debug("not_weighed", service=service.sid, error=type(error).__name__)
        try:
            await look_at_breakers(directory)
        except RedisError as error:
            _log.debug("breakers_not_seen", error=type(error).__name__)
        await asyncio.sleep(_EVERY_SECONDS)


async def _weigh(service: Service) -> None:
    section = service.section
    said = info_of(await section.redis.command("INFO", "memory", key=section.anchor))
    catalogue.MEMORY_USED.labels(service.config.name).set(int(said.get("used_memory", 0)))
    catalogue.MEMORY_MAX.labels(service.config.name).set(int(said.get("maxmemory", 0)))


async def look_at_breakers(directory: Directory) -> None:
    """Show the breakers. All processes share them: whoever calls no more would go on showing what it last heard."""
    seen: dict[str, list[str]] = {}
    for service in directory.services:
        for upstream in service.configured:
            if upstream is not None:
                # Nobody calls one that has been cut over: what its breaker was last is of no concern.
                called = upstream in (service.notify_upstream, service.chat_upstream)
                state = (await upstream.account.admission.health()).state if called else "closed"
                seen.setdefault(upstream.config.host, []).append(state)
    for host, states in seen.items():
        show_breaker(host, *states)
