"""Wiring: from settings to a directory of Services, with everything that runs beneath it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import msgspec

from service.backends import EmbeddedChat, EmbeddedNotify
from service.backends.twilio import Account, Admission, ChatBindings, NotifyBindings
from service.domain.errors import BinderyError, StoreRefused
from service.domain.fingerprints import derive_key
from service.domain.limits import CAP, CLOCK_LEEWAY
from service.domain.record import NO_CHANNEL, Channel
from service.domain.services import ServiceConfig, Upstream
from service.queue import JobQueue
from service.redis import Redis, connect
from service.settings import Settings
from service.store.adoptions import Adoptions
from service.store.archives import Archives
from service.store.audits import Audits
from service.store.ledger import Ledgers
from service.store.listings import Listings
from service.store.registrations import Registrations
from service.store.section import Section
from service.store.switched import SwitchedSection
from service.store.switches import Switches
from service.store.upstream_ledger import UpstreamLedger
from service.store.walks import Turns, Walk
from service.usecases.service import Directory, Service
from service.usecases.upstream.adopting import adopt_identities, adopt_sid
from service.usecases.upstream.channels import ChatUpstream, NotifyUpstream
from service.usecases.upstream.cold_reading import ColdReads

_FOLLOW_SECONDS = 1.0


class Runtime(msgspec.Struct, frozen=True):
    """What a process works with."""

    settings: Settings
    directory: Directory
    store: Redis
    queue_store: Redis
    queue: JobQueue

    async def open_store(self) -> None:
        """Check, or make, every Service's part of the store, all at the same time.

        Raises:
            StoreRefused: another key or a newer schema.
            StoreUnavailable, StoreFull, TooManyRequests: not yet.
        """
        opening = (service.section.open() for service in self.directory.services)
        faults = [f for f in await asyncio.gather(*opening, return_exceptions=True) if f is not None]
        # What waiting does not mend comes first.
        for fault in sorted(faults, key=lambda fault: not isinstance(fault, StoreRefused)):
            raise fault


@asynccontextmanager
async def runtime(settings: Settings) -> AsyncIterator[Runtime]:
    """Everything wired, without touching the network: connections are made when first used."""
    store = connect(settings.redis_url, timeout=settings.redis_timeout, replicas=settings.redis_replicas)
    # Jobs are hints: nobody waits for replicas to have them.
    shared = settings.queue_url == settings.redis_url and not settings.redis_replicas
    queue_store = store if shared else connect(settings.queue_url, timeout=settings.redis_timeout)
    queue = JobQueue(queue_store)
    key = derive_key(settings.secret_key, "fingerprints")
    services = [_service(settings, config, store, key, queue) for config in settings.services]
    following = [asyncio.create_task(_follow(s.section)) for s in services if isinstance(s.section, SwitchedSection)]
    try:
        yield Runtime(settings, Directory(services), store, queue_store, queue)
    finally:
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
        for service in services:
            await service.aclose()
        await queue.aclose()
        await store.aclose()
        if not shared:
            await queue_store.aclose()


async def _follow(section: SwitchedSection) -> None:
    """See now and then where a Service's bindings are kept: who only reads meets no refusal that would say so."""
    while True:
        await asyncio.sleep(_FOLLOW_SECONDS)
        if section.opened:
            with contextlib.suppress(BinderyError):
                await section.follow()


def _service(settings: Settings, config: ServiceConfig, store: Redis, key: bytes, queue: JobQueue) -> Service:
    external = Channel.NOTIFY if config.notify_upstream else NO_CHANNEL
    if config.chat_upstream:
        external |= Channel.CHAT
    section = (SwitchedSection if external else Section)(store, config.sid, key)
    longest_ms = int(1000 * config.notify_upstream.longest_request) if config.notify_upstream else 0
    service = Service(
        config,
        section,
        registrations=Registrations(
            section,
            name=config.name,
            cap=CAP,
            replace_oldest=config.cap_policy == "replace-oldest",
            token_seconds=settings.jwt_max_ttl + CLOCK_LEEWAY,
            events_max=settings.events_max,
            external=external,
        ),
        archives=Archives(section, cap=CAP, events_max=settings.events_max, external=external),
        switches=Switches(section, external=external, events_max=settings.events_max),
        ledgers=Ledgers(section, events_max=settings.events_max, external=external),
        adoptions=Adoptions(section, longest_ms=longest_ms, events_max=settings.events_max, external=external),
        notify=EmbeddedNotify(),
        chat=EmbeddedChat(),
        queue=queue,
        notify_upstream=_notify_upstream(settings, config.notify_upstream, section, store, external),
        chat_upstream=_chat_upstream(config.chat_upstream, section, store),
        listings=_listings(config, section),
    )
    service.cold = _cold_reads(service)
    return service


def _listings(config: ServiceConfig, section: Section) -> Listings | None:
    upstream = config.notify_upstream or config.chat_upstream
    if upstream is None:
        return None
    # Where lookups are not to ask, what workers have asked for is not looked at.
    listed_ms = max(1, int(1000 * upstream.listed_ttl))
    return Listings(section, listed_ms=listed_ms, empty_ms=int(1000 * upstream.empty_ttl))


def _cold_reads(service: Service) -> ColdReads | None:
    upstream, listings = service.notify_upstream, service.listings
    if upstream is None or listings is None or not upstream.config.listed_ttl:
        return None
    return ColdReads(
        listings,
        list_=partial(adopt_identities, service, upstream),
        fetch=partial(adopt_sid, service, upstream),
        is_well=upstream.is_well,
    )


def _chat_upstream(config: Upstream | None, section: Section, store: Redis) -> ChatUpstream | None:
    if config is None:
        return None
    bindings = ChatBindings(Account(config, Admission(store, config)))
    return ChatUpstream(config, bindings, Turns(section, Walk.CHAT_BINDINGS))


def _notify_upstream(
    settings: Settings, config: Upstream | None, section: Section, store: Redis, external: Channel
) -> NotifyUpstream | None:
    if config is None:
        return None
    bindings = NotifyBindings(Account(config, Admission(store, config)))
    longest_ms = int(1000 * config.longest_request)
    ledger = UpstreamLedger(section, longest_ms=longest_ms, events_max=settings.events_max)
    audits = Audits(section, longest_ms=longest_ms, events_max=settings.events_max, external=external)
    return NotifyUpstream(config, bindings, ledger, audits, Turns(section, Walk.BINDINGS))
