"""Reconciling: making a backend hold what is desired, and saying what came of it.

Level-triggered: it looks at the desired state as it is now, whatever brought it here, and may be repeated at will.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from service.backends import Failure
from service.domain.record import Channel, Record, State
from service.store.ledger import ChatWork, Lease, Settlement, Verdict
from service.usecases.service import Service

_FIRST_DELAY_MS, _LONGEST_DELAY_MS = 500, 300_000


async def reconcile_notify(service: Service, lease: Lease) -> list[Settlement]:
    """Put or delete the Notify binding of each leased registration."""
    wanted = [r for r in lease.records if r.channels & Channel.NOTIFY]
    unwanted = [r for r in lease.records if not r.channels & Channel.NOTIFY]
    settlements = []
    if wanted:
        settlements += _settle(wanted, await service.notify.put(wanted), Verdict.HELD)
    if unwanted:
        settlements += _settle(unwanted, await service.notify.delete(unwanted), Verdict.GONE)
    return settlements


async def reconcile_chat(service: Service, work: ChatWork) -> list[Settlement]:
    """Put or delete the Chat bindings of one identity; what is as desired, or was given up, needs nothing."""
    wanted = [r for r in work.records if r.channels and r.chat in (State.PENDING, State.UNKNOWN)]
    unwanted = [r for r in work.records if not r.channels]
    settlements = []
    if unwanted:
        settlements += _settle(unwanted, await service.chat.delete(unwanted), Verdict.GONE)
    if wanted:
        settlements += _settle(wanted, await service.chat.put(wanted), Verdict.HELD)
    return settlements


def _settle(records: Sequence[Record], failures: Sequence[Failure | None], verdict: Verdict) -> list[Settlement]:
    return [_settlement(r, failure, verdict) for r, failure in zip(records, failures, strict=True)]


def _settlement(record: Record, failure: Failure | None, verdict: Verdict) -> Settlement:
    if failure is None:
        return Settlement(record.fingerprint, record.version, verdict)
    if failure.final:
        return Settlement(record.fingerprint, record.version, Verdict.DEAD, reason=failure.reason)
    return Settlement(
        record.fingerprint,
        record.version,
        Verdict.LATER,
        delay_ms=backoff_ms(record.attempts),
        reason=failure.reason,
    )


def backoff_ms(attempts: int) -> int:
    """Milliseconds to the next try: doubling, at most five minutes, spread over its upper half."""
    ceiling = min(_FIRST_DELAY_MS * 2 ** min(attempts, 20), _LONGEST_DELAY_MS)
    return random.randint(ceiling // 2, ceiling)  # noqa: S311 -- jitter needs no secrecy
