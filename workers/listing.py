"""Listing, beside the queue, what an upstream has of identities: after logouts, and where lookups could not wait."""

from __future__ import annotations

import asyncio
import time

import structlog

from service.backends.twilio import Attempt, NotItsTurn, UpstreamError
from service.backends.twilio.pages import IDENTITIES
from service.domain.errors import BinderyError, StoreFull
from service.store.listings import CLAIM_MS, Work
from service.usecases.service import Directory, Service
from service.usecases.upstream.adopting import adopt_identities
from service.usecases.upstream.channels import ChatUpstream, NotifyUpstream
from service.usecases.upstream.chat_reconciling import Unsure, reconcile

EVERY_SECONDS = 1.0

_STEP_SECONDS = 5.0
"""After this it is told how many they were."""

_log = structlog.get_logger(__name__)


async def keep_listing(directory: Directory) -> None:
    """List what is owed of every Service with an upstream, until cancelled; none waits for another's upstream."""
    await asyncio.gather(*(_keep_listing(service) for service in directory.services if service.listings is not None))


async def _keep_listing(service: Service) -> None:
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        try:
            count = await list_owed(service)
        except (BinderyError, UpstreamError) as error:
            _log.debug("listing_failed", service=service.sid, error=type(error).__name__)
        except Exception as error:  # noqa: BLE001  # an edge: what breaks one step is no end of listing
            _log.error("listing_broke", service=service.sid, exc_info=error)
        else:
            if count:
                _log.info("listed", service=service.sid, identities=count)


async def list_owed(service: Service) -> int:
    """List what is due, while an upstream is well; answers how many identities that were.

    Raises:
        UpstreamError, StoreUnavailable, StoreFull, TooManyRequests: what was taken is due again after its lease.
    """
    listings = service.listings
    if listings is None:
        return 0
    count, end = 0, time.monotonic() + _STEP_SECONDS
    # Lists are cut short, deletes are not: there must be time for the last of them.
    delete_seconds = service.chat_upstream.config.timeout if service.chat_upstream is not None else 0.0
    while time.monotonic() < end and await _any_is_well(service):
        work = await listings.take(IDENTITIES, 2 * CLAIM_MS + int(1000 * delete_seconds))
        if work is None:
            break
        found = await _list(service, work, delete_seconds)
        asked = [listings.of(identity) for identity in found]
        await listings.done(work.began, asked, list(found.values()), token=work.token)
        await listings.put_off([one for one in work.identities if one not in found], token=work.token)
        count += len(asked)
    return count


async def _list(service: Service, work: Work, delete_seconds: float) -> dict[str, bool]:
    """List them at both upstreams, of which neither holds up the other.

    Answers, for each identity that was listed, whether it has no Notify binding there.

    Raises:
        UpstreamError, StoreUnavailable, StoreFull, TooManyRequests: not at both.
    """
    found, fault = dict.fromkeys(work.identities, True), None
    if service.notify_upstream is not None:
        try:
            found = await _adopt(service, service.notify_upstream, work)
        except (UpstreamError, StoreFull) as error:
            fault = error
    if service.chat_upstream is not None:
        await _check(service.chat_upstream)
        attempt = Attempt(time.monotonic() + CLAIM_MS / 1000 + delete_seconds)
        try:
            await reconcile(service, service.chat_upstream, work.identities, attempt)
        except Unsure as error:
            _log.warning("listing_unsure", service=service.sid, error=error.reason, identities=len(error.identities))
            found = {identity: empty for identity, empty in found.items() if identity not in error.identities}
    if fault is not None:
        raise fault
    return found


async def _adopt(service: Service, upstream: NotifyUpstream, work: Work) -> dict[str, bool]:
    await _check(upstream)
    answers = await adopt_identities(service, upstream, work.identities, work.began)
    found = zip(work.identities, answers, strict=True)
    return {identity: empty for identity, empty in found if empty is not None}


async def _check(upstream: NotifyUpstream | ChatUpstream) -> None:
    if not await upstream.is_well():
        raise NotItsTurn("the upstream is left alone for now")


async def _any_is_well(service: Service) -> bool:
    upstreams = [upstream for upstream in (service.notify_upstream, service.chat_upstream) if upstream is not None]
    return any([await upstream.is_well() for upstream in upstreams])
