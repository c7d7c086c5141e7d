"""Adopting what an upstream shows of identities and SIDs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime

from service.backends.twilio import Attempt, ChatBinding, NotifyBinding, NotTheApi
from service.domain import limits
from service.domain.addresses import BindingType, canonical
from service.domain.errors import UpstreamSilent
from service.domain.record import Attributes, Channel, encode_blob, pack_address
from service.domain.sids import BindingSid
from service.store.adoptions import Found, Outcome, Source
from service.store.listings import CLAIM_MS
from service.telemetry.catalogue import ADOPTIONS
from service.usecases.service import Service
from service.usecases.upstream.applying import by_address
from service.usecases.upstream.auditing import compare, is_settled
from service.usecases.upstream.channels import NotifyUpstream

YOUNG_MS = 60_000
"""What has come there so lately a list need not show yet: that it does not, proves nothing."""


async def adopt_identities(
    service: Service, upstream: NotifyUpstream, identities: Sequence[str], began: int
) -> list[bool | None]:
    """List identities: what is not known is adopted, and what is known but has gone there is acted on as in an audit.

    ``began`` is when this was decided, in milliseconds of the store's time. Answers for each identity whether the
    upstream has nothing of it; None if a firewall let nobody ask.

    Raises:
        UpstreamError: it could not be asked.
        UpstreamSilent: it has taken too long.
        StoreUnavailable, StoreFull, TooManyRequests
    """
    owners = [service.fingerprints.owner(identity) for identity in identities]
    known = await service.reading.registrations_of(owners)
    old = began - YOUNG_MS
    settled = [r for pairs in known for r, _ in pairs or () if is_settled(r) and 1000 * r.updated < old]
    attempt = Attempt(time.monotonic() + CLAIM_MS / 1000)
    bindings, refused = await upstream.bindings.of_each(identities, attempt)
    # That one was not listed says nothing of what is there.
    settled = [record for record in settled if record.attributes.identity not in refused]
    await _adopt_cold(service, bindings, began)
    await compare(service, upstream, settled, by_address(service, bindings), attempt)
    having = {binding.identity for binding in bindings}
    return [None if isinstance(refused.get(identity), NotTheApi) else identity not in having for identity in identities]


async def adopt_sid(service: Service, upstream: NotifyUpstream, sid: BindingSid, began: int) -> bool:
    """Fetch a SID; answers whether there is such a binding. Raises as ``adopt_identities``."""
    binding = await upstream.bindings.fetch(str(sid), Attempt(time.monotonic() + CLAIM_MS / 1000))
    if binding is not None:
        await _adopt_cold(service, [binding], began)
    return binding is not None


async def _adopt_cold(service: Service, bindings: Sequence[NotifyBinding], began: int) -> None:
    if Outcome.STALE in await adopt(service, Source.COLD, bindings, began):
        raise UpstreamSilent("The upstream has not answered in time")


async def adopt(service: Service, source: Source, bindings: Sequence[NotifyBinding], began: int) -> list[Outcome]:
    """Adopt what was listed, or asked for, at ``began``; answers what became of those that can be kept here.

    Raises:
        StoreUnavailable, StoreFull, TooManyRequests
    """
    found = [found for binding in bindings if (found := notify_found(binding))]
    adopted = await service.adoptions.adopt(source, found, began=began)
    service.wake(adopted.wake)
    for outcome in adopted.outcomes:
        ADOPTIONS.labels(service.config.name, source.name.lower(), outcome.name.lower()).inc()
    return adopted.outcomes


def notify_found(binding: NotifyBinding) -> Found | None:
    """A Notify binding; None for one that cannot be kept here: without SID, address or a known type, or too long."""
    sid, kind = BindingSid.parse(binding.sid), _kind(binding.binding_type)
    address = canonical(kind, binding.address) if kind else ""
    attributes = Attributes(
        binding.identity, binding.tags or (), binding.credential_sid, binding.notification_protocol_version
    )
    if sid is None or kind is None or not _fits(address, attributes):
        return None
    return Found(
        channel=Channel.NOTIFY,
        sid=sid,
        kind=kind,
        address=address,
        attributes=attributes,
        created=_seconds(binding.date_created or binding.date_updated),
        updated=_seconds(binding.date_updated or binding.date_created),
        respelled=address != binding.address,
    )


def chat_found(binding: ChatBinding) -> Found | None:
    """A Chat binding, likewise."""
    sid, kind = BindingSid.parse(binding.sid), _kind(binding.binding_type)
    attributes = Attributes(
        binding.identity, credential_sid=binding.credential_sid, message_types=binding.message_types
    )
    if sid is None or kind is None or not kind.push or not _fits(binding.endpoint, attributes):
        return None
    return Found(
        channel=Channel.CHAT,
        sid=sid,
        kind=kind,
        address=binding.endpoint,
        attributes=attributes,
        created=_seconds(binding.date_created or binding.date_updated),
        updated=_seconds(binding.date_updated or binding.date_created),
    )


def _fits(address: str, attributes: Attributes) -> bool:
    return bool(address) and max(len(pack_address(address)), len(encode_blob(attributes))) <= limits.PART_BYTES


def _kind(name: str) -> BindingType | None:
    try:
        return BindingType(name)
    except ValueError:
        return None


def _seconds(at: datetime | None) -> int:
    return max(0, int(at.timestamp())) if at else 0
