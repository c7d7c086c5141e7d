"""Importing: every binding that an upstream holds becomes known here, page by page; resumable, and idempotent."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec

from service.backends.twilio import ChatBinding, NotDone, NotifyBinding, OutcomeUnknown, Refused
from service.backends.twilio.errors import AccountRefused
from service.backends.twilio.pages import Page, Trail
from service.store.adoptions import Found, Outcome, Source
from service.store.places import Place
from service.usecases.moving.pacing import RateLimit
from service.usecases.service import Service
from service.usecases.upstream.adopting import chat_found, notify_found
from service.usecases.upstream.channels import ChatUpstream, NotifyUpstream

UNREADABLE = "unreadable"
"""What a binding is counted as that cannot be kept here: of a type that is not known, or without a SID or address."""

_TRIES = 8
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 60.0

Counts: TypeAlias = Counter[str]
"""By the name of an `Outcome`, or `UNREADABLE`, how many bindings."""


class _Reached(msgspec.Struct, array_like=True):
    at: str | None
    bindings: int
    counts: dict[str, int]


async def import_bindings(
    service: Service,
    upstream: NotifyUpstream | ChatUpstream,
    *,
    dry_run: bool = False,
    pace: RateLimit | None = None,
    told: Callable[[int], None] = lambda _: None,
) -> Counts:
    """Adopt all bindings of an upstream; goes on at the page where an earlier run ended.

    What was registered here and is newer stays. ``told`` hears how many bindings were seen. Requests are admitted like
    all others, and tried again, a bounded number of times.

    Raises:
        UpstreamError: it has refused, or has not answered for some minutes, or too slowly for its lists to count.
        StoreUnavailable, StoreFull, TooManyRequests: run again, it goes on.
    """
    place = Place(service.section, _name(upstream, dry_run), _Reached)
    reached = await place.get() or _Reached(None, 0, {})
    pace = pace or RateLimit(None)
    begun, trail = False, Trail()
    while True:
        trail.pass_by(reached.at)
        try:
            page, counts = await _page(service, upstream, reached.at, dry_run)
        except Refused:
            if begun or reached.at is None:
                raise
            # The place is of long ago, and the upstream knows it no more.
            reached, begun, trail = _Reached(None, 0, {}), True, Trail()
            continue
        begun = True
        reached.at, reached.bindings = page.next, reached.bindings + len(page.bindings)
        reached.counts = dict(Counter(reached.counts) + counts)
        told(reached.bindings)
        if page.next is None:
            await place.clear()
            return Counter(reached.counts)
        await place.set(reached)
        await pace.keep(len(page.bindings))


def _name(upstream: NotifyUpstream | ChatUpstream, dry_run: bool) -> bytes:
    config = upstream.config
    source = f"{config.api} {config.url} {config.sid}"
    return (b"dry:" if dry_run else b"from:") + hashlib.sha256(source.encode()).digest()[:16]


async def _page(
    service: Service, upstream: NotifyUpstream | ChatUpstream, at: str | None, dry_run: bool
) -> tuple[Page[NotifyBinding] | Page[ChatBinding], Counts]:
    tries, pause = 0, _FIRST_PAUSE
    while True:
        tries += 1
        # What changes here from now on counts for more than what the page will show.
        began = await service.adoptions.begin()
        wait = pause
        try:
            page = await upstream.bindings.page(at)
        except (NotDone, OutcomeUnknown) as error:
            if tries >= _TRIES or isinstance(error, AccountRefused):
                raise
            wait = min(max(pause, error.retry_after or 0.0), _LONGEST_PAUSE)
        else:
            found, unreadable = _found(page.bindings)
            done = await service.adoptions.adopt(Source.IMPORT, found, began=began, dry=dry_run)
            service.wake(done.wake)
            if Outcome.STALE not in done.outcomes:
                counts = Counter(outcome.value.decode() for outcome in done.outcomes)
                return page, counts + Counter({UNREADABLE: unreadable})
            if tries >= _TRIES:
                # A part of the page may have been adopted; the place is still before it.
                raise OutcomeUnknown("each list was more than a minute old when it was read: run again, it goes on")
        await asyncio.sleep(wait * random.uniform(0.75, 1.25))  # noqa: S311  # jitter
        pause = min(2 * pause, _LONGEST_PAUSE)


def _found(bindings: Sequence[NotifyBinding | ChatBinding]) -> tuple[list[Found], int]:
    maybe = [notify_found(b) if isinstance(b, NotifyBinding) else chat_found(b) for b in bindings]
    found = [binding for binding in maybe if binding is not None]
    return found, len(maybe) - len(found)
