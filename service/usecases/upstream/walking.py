"""The audit's walks through everything that an upstream holds, a page at a time, at a low rate."""

from __future__ import annotations

import time

import structlog

from service.backends.twilio import Attempt, Refused
from service.domain.errors import StoreFull
from service.store.adoptions import Outcome, Source
from service.store.walks import Turns
from service.usecases.service import Service
from service.usecases.upstream.adopting import adopt
from service.usecases.upstream.auditing import TURN_MS, WALK_MS
from service.usecases.upstream.channels import ChatUpstream, NotifyUpstream
from service.usecases.upstream.chat_reconciling import Unsure, reconcile

_SECONDS = 30.0
"""What a page may take; older than a minute it would tell nothing any more. Deletes begin within this."""

_FULL_MS = 60_000
"""Until a store that was full is tried with the same page again."""

_log = structlog.get_logger(__name__)
_CHANGES = frozenset({Outcome.ADOPTED, Outcome.REMOVED})


async def walk_step(service: Service, upstream: NotifyUpstream) -> int | None:
    """A page of the Notify upstream's bindings, if it is time for one and it is well: what is not known is adopted.

    Answers how many that were. A Service that is new to its upstream is complete after the first walk.

    Raises:
        UpstreamError, StoreUnavailable, StoreFull, TooManyRequests: the step is done again later.
    """
    position = await _turn(upstream, upstream.walk)
    if position is None:
        return None
    began = await service.adoptions.begin()
    try:
        page = await upstream.bindings.page(position.decode() or None, Attempt(time.monotonic() + _SECONDS))
    except Refused:
        await _lost(upstream.walk, position)
        raise
    try:
        outcomes = await adopt(service, Source.AUDIT, page.bindings, began)
    except StoreFull:
        await upstream.walk.rest(position, _FULL_MS, claimed=position)
        raise
    if Outcome.STALE not in outcomes:
        await _go_on(upstream.walk, page.next, position)
    return sum(outcome in _CHANGES for outcome in outcomes)


async def chat_walk_step(service: Service, upstream: ChatUpstream) -> int | None:
    """The same of the Chat upstream's: what must not stay there is deleted. Raises as ``walk_step``."""
    position = await _turn(upstream, upstream.walk)
    if position is None:
        return None
    attempt = Attempt(time.monotonic() + _SECONDS + upstream.config.timeout)
    try:
        page = await upstream.bindings.page(position.decode() or None, attempt)
    except Refused:
        await _lost(upstream.walk, position)
        raise
    # Listed anew: doubles may be on other pages.
    identities = list(dict.fromkeys(binding.identity for binding in page.bindings))
    deleted = 0
    try:
        deleted = await reconcile(service, upstream, identities, attempt) if identities else 0
    except Unsure as error:
        # The next walk comes by here again; this one must not stay.
        _log.warning("chat_walk_unsure", service=service.sid, error=error.reason)
    await _go_on(upstream.walk, page.next, position)
    return deleted


async def _turn(upstream: NotifyUpstream | ChatUpstream, walk: Turns) -> bytes | None:
    return await walk.claim(TURN_MS) if await upstream.is_well() else None


async def _go_on(walk: Turns, at: str | None, claimed: bytes) -> None:
    await walk.rest((at or "").encode(), TURN_MS if at else WALK_MS, claimed=claimed)


async def _lost(walk: Turns, position: bytes) -> None:
    """The way on may lead nowhere any more: begin again."""
    await walk.rest(b"", TURN_MS if position else WALK_MS, claimed=position)
