"""A step of a walk beside the queue, whose failure is no end of walking."""

from __future__ import annotations

from collections.abc import Awaitable

import structlog

from service.backends.twilio import UpstreamError
from service.domain.errors import BinderyError
from service.usecases.service import Service

_log = structlog.get_logger(__name__)


async def take(name: str, service: Service, step: Awaitable[int | None]) -> None:
    """Take it, and log what it came to under this name: how many it found, or that it failed. Raises nothing."""
    try:
        count = await step
    except (BinderyError, UpstreamError) as error:
        _log.debug(f"{name}_failed", service=service.sid, error=type(error).__name__)
    except Exception as error:  # noqa: BLE001  # an edge: what breaks one step is no end of walking
        _log.error(f"{name}_broke", service=service.sid, exc_info=error)
    else:
        if count:
            _log.info(name, service=service.sid, count=count)
