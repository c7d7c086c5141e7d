"""The audit, beside the queue: one step every few seconds, by whichever worker comes first."""

from __future__ import annotations

import asyncio

import structlog

from service.backends.twilio import UpstreamError
from service.domain.errors import BinderyError
from service.usecases.auditing import audit_step
from service.usecases.service import Directory

EVERY_SECONDS = 3.0

_log = structlog.get_logger(__name__)


async def keep_auditing(directory: Directory) -> None:
    """Audit every Service with a Notify upstream, until cancelled."""
    audited = [service for service in directory.services if service.notify_upstream is not None]
    while audited:
        await asyncio.sleep(EVERY_SECONDS)
        for service in audited:
            assert service.notify_upstream is not None  # noqa: S101  # they were chosen for it
            try:
                count = await audit_step(service, service.notify_upstream)
            except (BinderyError, UpstreamError) as error:
                _log.debug("audit_failed", service=service.sid, error=type(error).__name__)
            except Exception as error:  # noqa: BLE001  # an edge: what breaks one step is no end of auditing
                _log.error("audit_broke", service=service.sid, exc_info=error)
            else:
                if count:
                    _log.info("audit", service=service.sid, not_as_known=count)
