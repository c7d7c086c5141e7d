"""Expiring: push registrations whose device has not registered for too long leave, a few at a time."""

from __future__ import annotations

from service.domain.errors import SeenSince
from service.domain.events import Reason
from service.domain.record import ALL_CHANNELS
from service.store.walks import Turns
from service.usecases.service import Service

TURN_MS = 3_000
"""Between two steps: a million registrations in two hours."""
WALK_MS = 6 * 3_600_000
"""Between two walks through a Service."""

_RECORDS = 500


async def expire_step(service: Service, turns: Turns, stale_seconds: int) -> int | None:
    """One step, if it is time for one; answers how many registrations it ended.

    Raises:
        StoreUnavailable, StoreFull, TooManyRequests: the step is done again later.
    """
    claimed = await turns.claim(TURN_MS)
    if claimed is None:
        return None
    since = await service.adoptions.begin() // 1000 - stale_seconds
    records, position = await service.reading.scan(chat=False, position=claimed, backwards=False, records=_RECORDS)
    count = 0
    for record in records:
        if record.channels and record.type.push and record.seen < since:
            try:
                ended, wake = await service.registrations.remove(
                    record.fingerprint,
                    ALL_CHANNELS,
                    Reason.STALE,
                    generation=record.generation,
                    unless_seen_since=since,
                )
            except SeenSince:
                continue
            service.wake(wake)
            count += ended
    await turns.rest(position, TURN_MS if position else WALK_MS, claimed=claimed)
    return count
