"""Ending: logouts, which fence what they ended, and turning push off, which does not."""

from __future__ import annotations

import structlog

from service.domain.addresses import spellings
from service.domain.errors import BinderyError
from service.domain.events import Reason
from service.domain.record import ALL_CHANNELS, Channel
from service.domain.sids import RegistrationId
from service.store.listings import Listings
from service.store.registrations import Target
from service.usecases.service import Service

_log = structlog.get_logger(__name__)


async def log_out_device(
    service: Service, identity: str, device_id: str, *, session: str | None, traceparent: str | None = None
) -> int:
    """An app's logout of its device; answers how many registrations it ended."""
    ended, wake = await service.registrations.logout(identity, Target.DEVICE, (device_id,), session=session)
    service.wake(wake, traceparent)
    return ended


async def log_out(
    service: Service,
    identity: str,
    *,
    device_id: str | None = None,
    session: str | None = None,
    address: str | None = None,
    channels: Channel = ALL_CHANNELS,
    include_messaging: bool = False,
    traceparent: str | None = None,
) -> int:
    """A server's logout of a device, a session, an address or, with none of them, the whole identity.

    An address is tried verbatim and, since its type is not known, with hex digits folded. Answers how many
    registrations it ended.
    """
    target, named = Target.IDENTITY, tuple[str, ...]()
    if device_id is not None:
        target, named = Target.DEVICE, (device_id,)
    elif session is not None:
        target, named = Target.SESSION, (session,)
    elif address is not None:
        target, named = Target.ADDRESS, spellings(address)
    ended, wake = await service.registrations.logout(
        identity, target, named, channels=channels, include_messaging=include_messaging
    )
    service.wake(wake, traceparent)
    if service.listings is not None and target in (Target.IDENTITY, Target.ADDRESS):
        await _list_anew(service.listings, identity)
    return ended


async def _list_anew(listings: Listings, identity: str) -> None:
    """What was never registered here is to go as well. It is found under the fence, at the latest by the audit."""
    try:
        await listings.owe([listings.of(identity)], failed=False)
    except BinderyError as error:
        _log.info("list_not_owed", error=type(error).__name__)


async def turn_off(
    service: Service,
    id_text: str,
    owner: bytes | None = None,
    *,
    unless_seen_since: int | None = None,
    traceparent: str | None = None,
) -> None:
    """Take one registration out of the desired state. Idempotent, and no logout.

    An app means its own registration of that address, whatever has changed about it since it got the id; a server means
    just what it saw.

    Raises:
        SeenSince: it was registered at or after ``unless_seen_since``, in seconds, or may have been.
    """
    id_ = RegistrationId.parse(id_text)
    if id_ is None:
        return
    _, wake = await service.registrations.remove(
        id_.fingerprint,
        ALL_CHANNELS,
        Reason.PUSH_OFF,
        owner=owner or b"",
        generation=None if owner else id_.generation,
        unless_seen_since=unless_seen_since,
    )
    service.wake(wake, traceparent)
