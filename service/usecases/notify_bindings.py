"""The Notify Binding resource over the registrations: create, fetch, list and delete.

Source: the Notify API's Binding reference. What it shows is what is applied and still desired.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

import msgspec

from service.domain.addresses import BindingType, canonical, check_form
from service.domain.errors import InvalidInput
from service.domain.record import Attributes, Channel, Extras, Record, Visible
from service.domain.sids import BindingSid
from service.store.registrations import Wanted
from service.usecases.paging import Page, Position, scan_page, slice_page
from service.usecases.registering import check_identity
from service.usecases.service import Service
from service.usecases.upstream import confirming


class NotifyBinding(msgspec.Struct, frozen=True):
    """A Notify binding as its backend holds it."""

    sid: str
    identity: str
    binding_type: str
    address: str
    tags: tuple[str, ...]
    credential_sid: str | None
    protocol_version: str | None
    created: int
    updated: int


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which bindings a list shows: created between two days (inclusive, UTC), of these identities, with all tags."""

    start: date | None = None
    end: date | None = None
    identities: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


def _binding(record: Record, visible: Visible) -> NotifyBinding:
    attributes = visible.attributes
    return NotifyBinding(
        sid=str(visible.sid),
        identity=attributes.identity,
        binding_type=visible.kind.value,
        address=record.address,
        tags=attributes.tags,
        credential_sid=attributes.credential_sid,
        protocol_version=attributes.protocol_version,
        created=visible.created,
        updated=visible.updated,
    )


async def create(
    service: Service,
    *,
    identity: str,
    kind: BindingType,
    address: str,
    tags: Sequence[str] = (),
    credential_sid: str | None = None,
    protocol_version: str | None = None,
    traceparent: str | None = None,
) -> NotifyBinding:
    """Create a binding, replacing whatever holds its address. Only phone numbers are checked for form here.

    Raises:
        InvalidInput, CapReached, StoreUnavailable, StoreFull
        UpstreamRefused, UpstreamSilent, TooManyRequests: where an upstream has to confirm it.
    """
    check_identity(identity, "Identity")
    address = canonical(kind, address)
    if not address:
        raise InvalidInput("Address", "must not be empty")
    if kind is BindingType.SMS:
        check_form(kind, address, "Address")
    if protocol_version is None:
        protocol_version = service.config.protocol_versions.get(kind.value)
    wanted = Wanted(
        kind=kind,
        address=address,
        attributes=Attributes(identity, tuple(dict.fromkeys(tags)), credential_sid, protocol_version),
        extras=Extras(),
        keep=True,
    )
    if service.notify_upstream is not None:
        record = await confirming.create(service, service.notify_upstream, wanted, traceparent)
    else:
        done = await service.registrations.register(wanted, at_once=service.at_once)
        service.wake(done.wake, traceparent)
        record = done.record
        if record.visible(Channel.NOTIFY) is None:
            # Just now the Service was switched back to its upstream.
            record = await confirming.applied(service, record)
    # Already replaced, it is shown as it was asked for; its SID leads nowhere.
    asked = Visible(record.sid, record.type, record.created, record.updated, record.attributes)
    return _binding(record, record.visible(Channel.NOTIFY) or asked)


async def fetch(service: Service, sid: str) -> NotifyBinding | None:
    """The binding of a SID, or None.

    Raises:
        StoreUnavailable, TooManyRequests
        UpstreamSilent: it is not known here, and the upstream could not be asked.
    """
    parsed = BindingSid.parse(sid)
    record = await service.reading.binding(parsed) if parsed else None
    if record is None and parsed is not None and service.cold is not None:
        await service.cold.find(parsed)
        record = await service.reading.binding(parsed)
    visible = record.visible(Channel.NOTIFY) if record else None
    if record is None or visible is None or visible.sid != parsed:
        return None
    return _binding(record, visible)


async def delete(service: Service, sid: str, traceparent: str | None = None) -> bool:
    """Take the Notify channel out of a registration; answers whether there was such a binding. Raises as ``fetch``."""
    parsed = BindingSid.parse(sid)
    if parsed is None:
        return False
    upstream, cold = service.notify_upstream, service.cold
    if upstream is not None:
        if cold is not None and await service.reading.binding(parsed) is None:
            await cold.find(parsed)
        return await confirming.delete(service, upstream, parsed, traceparent)
    removed, wake, _ = await service.registrations.remove_binding(parsed, Channel.NOTIFY, at_once=service.at_once)
    service.wake(wake, traceparent)
    return removed


async def page(service: Service, wanted: Filter, start: Position, size: int) -> Page[NotifyBinding]:
    """A page of the bindings that pass the filter."""

    def match(record: Record) -> NotifyBinding | None:
        visible = record.visible(Channel.NOTIFY)
        if visible is None or not _passes(wanted, visible):
            return None
        return _binding(record, visible)

    if not wanted.identities:
        return await scan_page(service.reading, match, start, size)
    if service.cold is not None:
        await service.cold.warm(wanted.identities)
    owners = [service.fingerprints.owner(identity) for identity in dict.fromkeys(wanted.identities)]
    found = await service.reading.registrations_of(owners)
    return slice_page((record for pairs in found for record, _ in pairs or ()), match, start, size)


def _passes(wanted: Filter, visible: Visible) -> bool:
    if wanted.start and visible.created < _midnight(wanted.start):
        return False
    if wanted.end and visible.created >= _midnight(wanted.end) + timedelta(days=1).total_seconds():
        return False
    implicit = {"all", visible.kind.value}
    return all(tag in implicit or tag in visible.attributes.tags for tag in wanted.tags)


def _midnight(day: date) -> float:
    return datetime.combine(day, time(), UTC).timestamp()
