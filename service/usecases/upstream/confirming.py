"""Compatible writes in front of an upstream: answered once it has confirmed them, within a client's patience.

The write itself goes through the same script and the same workers as any other. A request whose time is up, be it that
this process stops, has been accepted all the same (contract 3): it is answered 503, and what it asked for goes on. That
the store cannot be asked meanwhile says nothing of it either.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from service import lifecycle
from service.domain.errors import StoreUnavailable, TooManyRequests, UpstreamRefused, UpstreamSilent
from service.domain.jobs import Ledger
from service.domain.limits import WAIT_SECONDS
from service.domain.record import Channel, Record, State
from service.domain.sids import BindingSid
from service.store.registrations import Wanted
from service.usecases.service import Service
from service.usecases.upstream.channels import NotifyUpstream

T = TypeVar("T")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.002, 0.05


async def create(service: Service, upstream: NotifyUpstream, wanted: Wanted, traceparent: str | None) -> Record:
    """Register and wait for the upstream; answers the record as applied, or as it was if another has replaced it since.

    Raises:
        CapReached, StoreUnavailable, StoreFull, TooManyRequests: as ``Registrations.register`` does.
        UpstreamRefused, UpstreamSilent: what the upstream said, or that it said nothing yet.
    """
    async with _seat(upstream):
        done = await service.registrations.register(wanted)
        service.wake(done.wake, traceparent)
        return await applied(service, done.record)


async def applied(service: Service, registered: Record) -> Record:
    """Wait until what was registered is applied; answers it, or as it was if another has replaced it since.

    Raises:
        UpstreamRefused, UpstreamSilent: as ``create``.
    """

    async def look() -> Record | None:
        record = await service.reading.registration(registered.fingerprint)
        if record is None or record.generation != registered.generation or not record.channels & Channel.NOTIFY:
            return registered
        return record if await _settled(service, record, State.APPLIED) else None

    return await _until(look)


async def delete(service: Service, upstream: NotifyUpstream, sid: BindingSid, traceparent: str | None) -> bool:
    """Take a visible binding away and wait until it is gone at the upstream; answers whether there was one.

    Raises:
        StoreUnavailable, TooManyRequests, UpstreamRefused, UpstreamSilent: as ``create``.
    """
    async with _seat(upstream):
        removed, wake, key = await service.registrations.remove_binding(sid, Channel.NOTIFY)
        service.wake(wake, traceparent)
        if not removed:
            return False

        async def gone() -> bool | None:
            record = await service.reading.registration(key)
            if record is None or record.channels & Channel.NOTIFY:
                return True
            return await _settled(service, record, State.NONE) or None

        return await _until(gone)


@asynccontextmanager
async def _seat(upstream: NotifyUpstream) -> AsyncIterator[None]:
    if upstream.waiting_room.locked():
        raise TooManyRequests
    async with upstream.waiting_room:
        yield


async def _settled(service: Service, record: Record, state: State) -> bool:
    if record.notify == State.FAILED:
        letter = await service.ledgers.dead_letter(Ledger.NOTIFY, record.fingerprint)
        raise UpstreamRefused(letter.reason if letter else None)
    return bool(record.notify == state)


async def _until(look: Callable[[], Awaitable[T | None]]) -> T:
    pause = _FIRST_PAUSE
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                with suppress(StoreUnavailable, TooManyRequests):
                    found = await look()
                    if found is not None:
                        return found
                if lifecycle.process.leaving:
                    break
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_PAUSE)
    except TimeoutError:
        pass
    raise UpstreamSilent
