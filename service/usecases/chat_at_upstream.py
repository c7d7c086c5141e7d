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
from service.domain.errors import InvalidInput, UpstreamRefused, UpstreamSilent
from service.domain.limits import WAIT_SECONDS
from service.domain.record import Channel
from service.domain.sids import BindingSid
from service.usecases.chat_reconciling import judged
from service.usecases.service import Service
from service.usecases.upstreams import ChatUpstream


class Shown(NamedTuple):
    """A binding that may be shown; lists are in the order of ``fingerprint``."""

    fingerprint: bytes
    binding: ChatBinding


async def of(service: Service, upstream: ChatUpstream, identities: Sequence[str]) -> list[Shown]:
    """The bindings of these identities.

    Raises:
        InvalidInput: of none: a list of the whole Service is the upstream's to give.
        UpstreamSilent, UpstreamRefused, StoreUnavailable
    """
    if not identities:
        raise InvalidInput("Identity", "must be given: the bindings of this Service are kept at its upstream")
    async with _answered():
        attempt = Attempt(time.monotonic() + WAIT_SECONDS)
        unique = list(dict.fromkeys(identities))
        owners = [service.fingerprints.owner(identity) for identity in unique]
        noted = await service.reading.chat_bindings_of(owners)
        work = [(identity, records or []) for identity, records in zip(unique, noted, strict=True)]
        verdicts = await judged(service, upstream, work, attempt)
        kept = {j.binding.sid for judgements in verdicts for j in judgements if j.kept}
        found = await upstream.bindings.of(unique, attempt) if kept else []
        return [_shown(binding) for binding in found if binding.sid in kept]


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


def _shown(binding: ChatBinding) -> Shown:
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
