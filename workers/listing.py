"""Listing, beside the queue, what an upstream has of identities: after logouts, and where lookups could not wait."""

from __future__ import annotations

import asyncio
import time

import structlog

from service.backends.twilio import UpstreamError
from service.backends.twilio.pages import IDENTITIES
from service.domain.errors import BinderyError
from service.store.listings import CLAIM_MS
from service.usecases.service import Directory, Service

EVERY_SECONDS = 1.0

_LEASE_MS = 2 * CLAIM_MS
_STEP_SECONDS = 5.0
"""After this the next Service has its turn."""

_log = structlog.get_logger(__name__)


async def keep_listing(directory: Directory) -> None:
    """List what is owed of every Service with a Notify upstream, until cancelled."""
    services = [service for service in directory.services if service.cold is not None]
    while services:
        await asyncio.sleep(EVERY_SECONDS)
        for service in services:
            try:
                count = await list_owed(service)
            except (BinderyError, UpstreamError) as error:
                _log.info("listing_failed", service=service.sid, error=type(error).__name__)
            except Exception as error:  # noqa: BLE001  # an edge: what breaks one step is no end of listing
                _log.error("listing_broke", service=service.sid, exc_info=error)
            else:
                if count:
                    _log.info("listed", service=service.sid, identities=count)


async def list_owed(service: Service) -> int:
    """List what is due, while the upstream is well; answers how many identities that were.

    Raises:
        UpstreamError, StoreUnavailable, StoreFull, TooManyRequests: what was taken is due again after its lease.
    """
    cold, upstream = service.cold, service.notify_upstream
    if cold is None or upstream is None:
        return 0
    count, end = 0, time.monotonic() + _STEP_SECONDS
    while time.monotonic() < end and await upstream.is_well():
        work = await cold.listings.take(IDENTITIES, _LEASE_MS)
        if work is None:
            break
        empty = await cold.adopting.identities(work.identities, work.began)
        asked = [cold.listings.of(identity) for identity in work.identities]
        await cold.listings.done(work.began, asked, empty, token=work.token)
        count += len(asked)
    return count
