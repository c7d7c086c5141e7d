"""Chat bindings that an upstream holds, as the compatible routes show them: read through, and masked.

What was logged out, or belongs to somebody else, is shown to nobody, though the upstream may hold it yet (contract 2).
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NamedTuple

from service.backends.twilio import Attempt, ChatBinding, NotTheApi, Refused, UpstreamError
from service.domain.addresses import PUSH_TYPES
from service.domain.errors import BadPageToken, UpstreamRefused, UpstreamSilent
from service.domain.judging import Listed, Why
from service.domain.limits import WAIT_SECONDS
from service.domain.record import Channel
from service.domain.sids import BindingSid
from service.usecases.paging import Page, Position
from service.usecases.service import Service
from service.usecases.upstream.channels import ChatUpstream
from service.usecases.upstream.chat_reconciling import Noted, judge_listed, listed_of, noted_of

_TYPES = {kind.value for kind in PUSH_TYPES}


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
        unique = list(dict.fromkeys(identities))
        # Noted before the list: what goes in between is noted as removed then, or is not listed.
        noted = await noted_of(service, unique)
        found = await upstream.bindings.of(unique, Attempt(time.monotonic() + WAIT_SECONDS))
    shown, _ = await _shown(service, upstream, found, noted)
    return shown


async def page(
    service: Service, upstream: ChatUpstream, types: Sequence[str], start: Position, size: int
) -> Page[ChatBinding]:
    """A page of all that there is: the upstream's own, in its order, so that there is only a way on. Raises as ``of``.

    It may be short, or empty, with more to come.

    Raises:
        BadPageToken: it was made when the bindings were kept here.
    """
    if start.fingerprint:
        raise BadPageToken
    kept_there = [kind for kind in types if kind in _TYPES]
    if types and not kept_there:
        return Page([], None, None)
    at = start.there or upstream.bindings.first(size, kept_there)
    attempt = Attempt(time.monotonic() + WAIT_SECONDS)
    async with _answered():
        found = await upstream.bindings.page(at, attempt)
    noted = await noted_of(service, list(dict.fromkeys(binding.identity for binding in found.bindings)))
    shown, strangers = await _shown(service, upstream, found.bindings, noted)
    # What was confirmed as removed between the two seems never to have been registered; it is listed no more.
    async with _answered():
        listed, refused = await upstream.bindings.of_each(strangers, attempt)
        for refusal in refused.values():
            if isinstance(refusal, NotTheApi):
                raise refusal
        still = {binding.sid for binding in listed}
    bindings = [one.binding for one in shown if one.binding.identity not in strangers or one.binding.sid in still]
    return Page(bindings, None, Position(there=found.next) if found.next else None)


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
    if binding is None:
        await _shown(service, upstream, [], ())  # it may be kept here by now
        return None
    if owner is not None and service.fingerprints.owner(binding.identity) != owner:
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
            # Adopted, it is known under the SID that it has there.
            known_as = record.visible_sid(Channel.CHAT) or record.sid
            _, wake, _ = await service.registrations.remove_binding(known_as, Channel.CHAT)
            service.wake(wake, traceparent)
    async with _answered():
        await upstream.bindings.delete(sid)
    return True


def seconds(at: datetime | None) -> int:
    """A time as records keep it."""
    return int(at.timestamp()) if at else 0


async def _shown(
    service: Service, upstream: ChatUpstream, found: Sequence[ChatBinding], noted: Noted
) -> tuple[list[Shown], list[str]]:
    """Those that are not to go, in the same order; and who has such as were never registered here."""
    listed: dict[str, list[Listed]] = {identity: [] for identity, _ in noted}
    for binding in found:
        listed.setdefault(binding.identity, []).append(listed_of(binding))
    verdicts = await judge_listed(service, upstream, noted, listed)
    kept = {judgement.binding.sid for judgements in verdicts for judgement in judgements if judgement.kept}
    strangers = [
        identity
        for (identity, _), judgements in zip(noted, verdicts, strict=True)
        if any(judgement.why is Why.UNKNOWN for judgement in judgements)
    ]
    return [_placed(binding) for binding in found if binding.sid in kept], strangers


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
