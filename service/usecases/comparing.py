"""Comparing a Service with its upstreams, both ways."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from enum import Enum

import msgspec

from service.domain.addresses import canonical
from service.domain.judging import Listed
from service.domain.record import Channel, Record
from service.domain.sids import user_sid
from service.domain.upstream import Agreed, Held, decide
from service.usecases.applying import held_of
from service.usecases.chat_reconciling import judge_listed, listed_of
from service.usecases.service import Service
from service.usecases.upstreams import ChatUpstream, NotifyUpstream

_RECORDS = 500
_IDENTITIES = 200
_LOOK_SECONDS = 0.2


class What(Enum):
    """In which way the two sides differ."""

    MISSING = "missing there"
    DIFFERS = "differs"
    UNKNOWN = "unknown here"
    UNWANTED = "not wanted there"


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One of them. Addresses and device ids are not told."""

    api: str
    what: What
    user_sid: str
    binding_sid: str
    detail: str = ""


async def settled(service: Service, seconds: float) -> int:
    """Wait until nothing is owed; answers how many entries still are after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        state = await service.ledgers.sweep()
        service.wake(state.wake)
        if not state.depth or time.monotonic() > end:
            return state.depth
        await asyncio.sleep(_LOOK_SECONDS)


async def notify_differences(service: Service, upstream: NotifyUpstream) -> AsyncIterator[Difference]:
    """Those of Notify bindings. All of the upstream's are held in memory, about half a kilobyte each.

    Raises:
        UpstreamError, StoreUnavailable, TooManyRequests
    """
    there: dict[bytes, list[Held]] = {}
    at: str | None = None
    while True:
        page = await upstream.bindings.page(at)
        for binding in page.bindings:
            held = held_of(binding)
            if held is not None:
                there.setdefault(service.fingerprints.address(canonical(held.kind, binding.address)), []).append(held)
        at = page.next
        if at is None:
            break
    async for record in _records(service):
        held_there = there.pop(record.fingerprint, [])
        if record.channels & Channel.NOTIFY:
            sid = record.visible_sid(Channel.NOTIFY) or record.sid
            if not held_there:
                yield _difference(What.MISSING, record, str(sid))
                continue
            decision = decide(record, held_there)
            if not isinstance(decision, Agreed) or decision.binding is None or decision.binding.sid != sid:
                yield _difference(What.DIFFERS, record, str(held_there[0].sid))
        else:
            for held in held_there:
                yield _difference(What.UNWANTED, record, str(held.sid))
    for held_there in there.values():
        for held in held_there:
            owner = service.fingerprints.owner(held.attributes.identity)
            yield Difference(api="notify", what=What.UNKNOWN, user_sid=user_sid(owner), binding_sid=str(held.sid))


def _difference(what: What, record: Record, sid: str) -> Difference:
    return Difference(api="notify", what=what, user_sid=user_sid(record.owner), binding_sid=sid)


async def chat_differences(service: Service, upstream: ChatUpstream) -> AsyncIterator[Difference]:
    """Chat bindings at the upstream that are not wanted there; what apps' SDKs have yet to create is no difference.

    Raises:
        UpstreamError, StoreUnavailable, TooManyRequests
    """
    listed: dict[str, list[Listed]] = {}
    at: str | None = None
    while True:
        page = await upstream.bindings.page(at)
        for binding in page.bindings:
            listed.setdefault(binding.identity, []).append(listed_of(binding))
        at = page.next
        if at is None:
            break
    identities = list(listed)
    for first in range(0, len(identities), _IDENTITIES):
        some = identities[first : first + _IDENTITIES]
        owners = [service.fingerprints.owner(identity) for identity in some]
        found = await service.reading.chat_bindings_of(owners)
        noted = [(identity, records or []) for identity, records in zip(some, found, strict=True)]
        verdicts = await judge_listed(service, upstream, noted, {identity: listed[identity] for identity in some})
        for owner, judgements in zip(owners, verdicts, strict=True):
            for judgement in judgements:
                if not judgement.kept:
                    yield Difference(
                        api=upstream.config.api,
                        what=What.UNWANTED,
                        user_sid=user_sid(owner),
                        binding_sid=judgement.binding.sid,
                        detail=judgement.why.value,
                    )


async def _records(service: Service) -> AsyncIterator[Record]:
    position = b""
    while True:
        records, position = await service.reading.scan(chat=False, position=position, backwards=False, records=_RECORDS)
        for record in records:
            yield record
        if not position:
            return
