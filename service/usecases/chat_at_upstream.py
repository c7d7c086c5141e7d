"""Chat bindings that an upstream holds, as the compatible routes show them: read through, and masked.

What was logged out, or belongs to somebody else, is shown to nobody, though the upstream may hold it yet (contract 2).
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NamedTuple

from service.backends.twilio import Attempt, ChatBinding, Refused, UpstreamError
from service.domain.addresses import PUSH_TYPES
from service.domain.errors import BadPageToken, UpstreamRefused, UpstreamSilent
from service.domain.judging import Listed
from service.domain.limits import WAIT_SECONDS
from service.domain.record import Channel
from service.domain.sids import BindingSid
from service.usecases.chat_reconciling import judge_listed, listed_of
from service.usecases.paging import Page, Position
from service.usecases.service import Service
from service.usecases.upstreams import ChatUpstream

_TYPES = {kind.value for kind in PUSH_TYPES}
_CURSOR = b"?"
"""What a position at the upstream begins with: the query that leads there follows."""


class Shown(NamedTuple):
    """A binding that may be shown; lists are in the order of ``fingerprint``."""

    fingerprint: bytes
    binding: ChatBinding


async def of(service: Service, upstream: ChatUpstream, identities: Sequence[str]) -> list[Shown]:
    """The bindings of these identities.

    Raises:
        UpstreamSilent, UpstreamRefused, StoreUnavailable, TooManyRequests
    """
    async with _answered():
        attempt = Attempt(time.monotonic() + WAIT_SECONDS)
        found = await upstream.bindings.of(list(dict.fromkeys(identities)), attempt)
    return await _shown(service, upstream, found)


async def page(
    service: Service, upstream: ChatUpstream, types: Sequence[str], start: Position, size: int
) -> Page[ChatBinding]:
    """A page of all that there is: the upstream's own, in its order, so that there is only a way on. Raises as ``of``.

    It may be short, or empty, with more to come.

    Raises:
        BadPageToken: it was made when the bindings were kept here.
    """
    if start.fingerprint and not start.fingerprint.startswith(_CURSOR):
        raise BadPageToken
    kept_there = [kind for kind in types if kind in _TYPES]
    if types and not kept_there:
        return Page([], None, None)
    at = start.fingerprint[len(_CURSOR) :].decode() or upstream.bindings.first(size, kept_there)
    async with _answered():
        found = await upstream.bindings.page(at, Attempt(time.monotonic() + WAIT_SECONDS))
    shown = [one.binding for one in await _shown(service, upstream, found.bindings)]
    return Page(shown, None, Position(_CURSOR + found.next.encode()) if found.next else None)


async def identity_of(service: Service, owner: bytes) -> str | None:
    """The identity of an owner who has, or had of late, a registration here."""
    [pairs] = await service.reading.registrations_of([owner])
    [noted] = await service.reading.chat_bindings_of([owner])
    records = [record for record, _ in pairs or ()] + list(noted or ())
    return records[0].attributes.identity if records else None


async def fetch(service: Service, upstream: ChatUpstream, sid: str, owner: bytes | None) -> ChatBinding | None:
    """The binding of a SID (of this owner, if one is given), or None. Raises as ``of``."""
    async with _answered():
        binding = await upstream.bindings.fetch(sid, Attempt(time.monotonic() + WAIT_SECONDS))
    if binding is None or (owner is not None and service.fingerprints.owner(binding.identity) != owner):
        return None
    shown = await of(service, upstream, [binding.identity])
    return next((one.binding for one in shown if one.binding.sid == sid), None)


async def delete(
    service: Service, upstream: ChatUpstream, sid: str, owner: bytes | None, traceparent: str | None
) -> bool:
    """Delete a binding that can be seen, here and there; answers whether there was one. Raises as ``of``."""
    binding = await fetch(service, upstream, sid, owner)
    if binding is None:
        return False
    [noted] = await service.reading.chat_bindings_of([service.fingerprints.owner(binding.identity)])
    for record in noted or ():
        if record.channels and record.address == binding.endpoint:
            _, wake, _ = await service.registrations.remove_binding(record.sid, Channel.CHAT)
            service.wake(wake, traceparent)
    async with _answered():
        await upstream.bindings.delete(sid, Attempt(time.monotonic() + WAIT_SECONDS))
    return True


def seconds(at: datetime | None) -> int:
    """A time as records keep it."""
    return int(at.timestamp()) if at else 0


async def _shown(service: Service, upstream: ChatUpstream, found: Sequence[ChatBinding]) -> list[Shown]:
    """Those that are not to go, in the same order."""
    listed: dict[str, list[Listed]] = {}
    for binding in found:
        listed.setdefault(binding.identity, []).append(listed_of(binding))
    owners = [service.fingerprints.owner(identity) for identity in listed]
    noted = await service.reading.chat_bindings_of(owners) if owners else []
    work = [(identity, records or []) for identity, records in zip(listed, noted, strict=True)]
    verdicts = await judge_listed(service, upstream, work, listed)
    kept = {j.binding.sid for judgements in verdicts for j in judgements if j.kept}
    return [_placed(binding) for binding in found if binding.sid in kept]


def _placed(binding: ChatBinding) -> Shown:
    sid = BindingSid.parse(binding.sid)
    return Shown(sid.fingerprint if sid else b"", binding)


@asynccontextmanager
async def _answered() -> AsyncIterator[None]:
    try:
        yield
    except Refused as error:
        raise UpstreamRefused(error.reason) from None
    except UpstreamError:
        raise UpstreamSilent("The upstream does not answer") from None
