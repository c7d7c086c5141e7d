"""What a process says before it serves: whether it may use the store, and how its upstreams stand."""

from __future__ import annotations

import structlog

from service.bootstrap import Runtime
from service.domain.errors import StoreRefused
from service.usecases.upstream.standing import ask_accounts

_SECONDS = 3.0
"""For the upstreams: a start is not held up for longer."""

_log = structlog.get_logger(__name__)


async def open_store(running: Runtime) -> None:
    """Open every Service's part of the store, then ask the upstreams; what is wrong with either is logged.

    An upstream at fault keeps nobody from serving: what is owed to it waits.

    Raises:
        StoreRefused: this process must not serve from this store.
        StoreUnavailable, StoreFull, TooManyRequests: not yet.
    """
    try:
        await running.open_store()
    except StoreRefused as error:
        _log.error("store_refused", detail=error.detail)
        raise
    for standing in await ask_accounts(running.directory, _SECONDS):
        if standing.fault:
            _log.error(
                "upstream_at_fault",
                service_name=standing.service_name,
                api=standing.api,
                url=standing.url,
                detail=standing.fault,
            )
