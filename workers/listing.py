"""Listing, beside the queue, what an upstream has of identities: after logouts, and where lookups could not wait."""

from __future__ import annotations

import asyncio
import time

import structlog

from service.backends.twilio import Attempt, UpstreamError
from service.backends.twilio.pages import IDENTITIES
from service.domain.errors import BinderyError
from service.store.listings import CLAIM_MS
from service.usecases.service import Directory, Service
from service.usecases.upstream.adopting import adopt_identities
from service.usecases.upstream.chat_reconciling import reconcile

EVERY_SECONDS = 1.0

_STEP_SECONDS = 5.0
"""After this the next Service has its turn."""

_log = structlog.get_logger(__name__)


async def keep_listing(directory: Directory) -> None:
    """List what is owed of every Service with an upstream, until cancelled."""
    services = [service for service in directory.services if service.listings is not None]
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
    listings = service.listings
    if listings is None:
        return 0
    count, end = 0, time.monotonic() + _STEP_SECONDS
    # Lists are cut short, deletes are not: there must be time for the last of them.
    delete_seconds = service.chat_upstream.config.timeout if service.chat_upstream is not None else 0.0
    while time.monotonic() < end and await _is_well(service):
        work = await listings.take(IDENTITIES, 2 * CLAIM_MS + int(1000 * delete_seconds))
        if work is None:
            break
        empty = [True] * len(work.identities)
        if service.notify_upstream is not None:
            empty = await adopt_identities(service, service.notify_upstream, work.identities, work.began)
        if service.chat_upstream is not None:
            attempt = Attempt(time.monotonic() + CLAIM_MS / 1000 + delete_seconds)
            await reconcile(service, service.chat_upstream, work.identities, attempt)
        asked = [listings.of(identity) for identity in work.identities]
        await listings.done(work.began, asked, empty, token=work.token)
        count += len(asked)
    return count


async def _is_well(service: Service) -> bool:
    upstreams = [upstream for upstream in (service.notify_upstream, service.chat_upstream) if upstream is not None]
    return all([await upstream.is_well() for upstream in upstreams])
