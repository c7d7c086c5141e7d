"""The audit's walks through everything that an upstream holds, a page at a time, at a low rate."""

from __future__ import annotations

import time
from collections.abc import Sequence

from service.backends.twilio import Attempt, ChatBinding, Refused
from service.domain.judging import Listed
from service.store.adoptions import Outcome, Source
from service.store.audits import Turns
from service.usecases.adopting import notify_found
from service.usecases.auditing import TURN_MS, WALK_MS
from service.usecases.chat_reconciling import delete_unwanted, judge_listed, listed_of
from service.usecases.service import Service
from service.usecases.upstreams import ChatUpstream, NotifyUpstream

_SECONDS = 30.0
"""What a page may take; older than a minute it would tell nothing any more."""

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
    found = [found for binding in page.bindings if (found := notify_found(binding))]
    adopted = await service.adoptions.adopt(Source.AUDIT, found, began=began)
    service.wake(adopted.wake)
    if Outcome.STALE not in adopted.outcomes:
        await _go_on(upstream.walk, page.next)
    return sum(outcome in _CHANGES for outcome in adopted.outcomes)


async def chat_walk_step(service: Service, upstream: ChatUpstream) -> int | None:
    """The same of the Chat upstream's: what must not stay there is deleted. Raises as ``walk_step``."""
    position = await _turn(upstream, upstream.walk)
    if position is None:
        return None
    attempt = Attempt(time.monotonic() + _SECONDS)
    try:
        page = await upstream.bindings.page(position.decode() or None, attempt)
    except Refused:
        await _lost(upstream.walk, position)
        raise
    deleted = await _judge(service, upstream, page.bindings, attempt)
    await _go_on(upstream.walk, page.next)
    return deleted


async def _turn(upstream: NotifyUpstream | ChatUpstream, walk: Turns) -> bytes | None:
    return await walk.claim(TURN_MS) if await upstream.is_well() else None


async def _go_on(walk: Turns, at: str | None) -> None:
    await walk.rest((at or "").encode(), TURN_MS if at else WALK_MS)


async def _lost(walk: Turns, position: bytes) -> None:
    """The way on may lead nowhere any more: begin again."""
    await walk.rest(b"", TURN_MS if position else WALK_MS)


async def _judge(service: Service, upstream: ChatUpstream, bindings: Sequence[ChatBinding], attempt: Attempt) -> int:
    identities = list(dict.fromkeys(binding.identity for binding in bindings))
    if not identities:
        return 0
    # Doubles may be on other pages. And what is noted here is read last: what was registered meanwhile stays.
    listed: dict[str, list[Listed]] = {identity: [] for identity in identities}
    for binding in await upstream.bindings.of(identities, attempt):
        if binding.identity in listed:
            listed[binding.identity].append(listed_of(binding))
    owners = [service.fingerprints.owner(identity) for identity in identities]
    found = await service.reading.chat_bindings_of(owners)
    noted = [(identity, records or []) for identity, records in zip(identities, found, strict=True)]
    count = 0
    for judgements in await judge_listed(service, upstream, noted, listed):
        count += await delete_unwanted(upstream, judgements, attempt)
    return count
