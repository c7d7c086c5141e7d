"""Adopting what an upstream shows of identities and SIDs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from service.backends.twilio import Attempt, ChatBinding, NotifyBinding, NotifyBindings, Refused
from service.domain.addresses import BindingType, canonical
from service.domain.errors import UpstreamSilent
from service.domain.record import Attributes, Channel
from service.domain.sids import BindingSid
from service.store.adoptions import Adoptions, Found, Outcome, Source
from service.store.listings import CLAIM_MS


class Adopting:
    """Of one Service: asks its Notify upstream, and adopts what it answers.

    ``began`` is when the answer was decided to be asked for, in milliseconds of the store's time. Both methods raise
    UpstreamError, and UpstreamSilent if it took too long; StoreUnavailable, StoreFull and TooManyRequests.
    """

    def __init__(self, bindings: NotifyBindings, adoptions: Adoptions, wake: Callable[[bytes], None]) -> None:
        self._bindings = bindings
        self._adoptions = adoptions
        self._wake = wake

    async def identities(self, identities: Sequence[str], began: int) -> list[bool]:
        """List identities; answers for each whether the upstream has nothing of it."""
        try:
            bindings = await self._bindings.of(identities, self._attempt())
        except Refused:
            if len(identities) == 1:
                return [True]
            # One that the upstream takes for no identity must not hold up the others.
            return [nothing for identity in identities for nothing in await self.identities([identity], began)]
        await self._adopt(bindings, began)
        having = {binding.identity for binding in bindings}
        return [identity not in having for identity in identities]

    async def sid(self, sid: BindingSid, began: int) -> bool:
        """Fetch a SID; answers whether there is such a binding."""
        binding = await self._bindings.fetch(str(sid), self._attempt())
        if binding is not None:
            await self._adopt([binding], began)
        return binding is not None

    async def _adopt(self, bindings: Sequence[NotifyBinding], began: int) -> None:
        found = [found for binding in bindings if (found := notify_found(binding))]
        adopted = await self._adoptions.adopt(Source.COLD, found, began=began)
        self._wake(adopted.wake)
        if Outcome.STALE in adopted.outcomes:
            raise UpstreamSilent("The upstream has not answered in time")

    def _attempt(self) -> Attempt:
        return Attempt(time.monotonic() + CLAIM_MS / 1000)


def notify_found(binding: NotifyBinding) -> Found | None:
    """A Notify binding; None for one that cannot be kept here: of an unknown type, or without a SID or address."""
    sid, kind = BindingSid.parse(binding.sid), _kind(binding.binding_type)
    address = canonical(kind, binding.address) if kind else ""
    if sid is None or kind is None or not address:
        return None
    return Found(
        channel=Channel.NOTIFY,
        sid=sid,
        kind=kind,
        address=address,
        attributes=Attributes(
            binding.identity, binding.tags or (), binding.credential_sid, binding.notification_protocol_version
        ),
        created=_seconds(binding.date_created or binding.date_updated),
        updated=_seconds(binding.date_updated or binding.date_created),
    )


def chat_found(binding: ChatBinding) -> Found | None:
    """A Chat binding, likewise."""
    sid, kind = BindingSid.parse(binding.sid), _kind(binding.binding_type)
    if sid is None or kind is None or not kind.push or not binding.endpoint:
        return None
    return Found(
        channel=Channel.CHAT,
        sid=sid,
        kind=kind,
        address=binding.endpoint,
        attributes=Attributes(
            binding.identity, credential_sid=binding.credential_sid, message_types=binding.message_types
        ),
        created=_seconds(binding.date_created or binding.date_updated),
        updated=_seconds(binding.date_updated or binding.date_created),
    )


def _kind(name: str) -> BindingType | None:
    try:
        return BindingType(name)
    except ValueError:
        return None


def _seconds(at: datetime | None) -> int:
    return max(0, int(at.timestamp())) if at else 0
