"""Auditing: whether an upstream still holds what it was known to hold, a few registrations at a time, at a low rate."""

from __future__ import annotations

import time

from service.backends.twilio import Attempt
from service.domain.record import Channel, Record, State
from service.domain.upstream import Agreed, decide
from service.store.audits import Finding
from service.usecases.applying import listing
from service.usecases.service import Service
from service.usecases.upstreams import NotifyUpstream

TURN_MS = 3_000
"""Between two steps: about a million registrations in a day."""
WALK_MS = 6 * 3_600_000
"""Between two walks through a Service."""

_RECORDS = 40
_SECONDS = 60.0


async def audit_step(service: Service, upstream: NotifyUpstream) -> int | None:
    """One step, if it is time for one and the upstream is well; answers how many registrations were not as known.

    Raises:
        UpstreamError, StoreUnavailable, TooManyRequests: the step is done again later.
    """
    if await upstream.room() <= 1:
        return None
    position = await upstream.audits.claim(TURN_MS)
    if position is None:
        return None
    records, position = await service.reading.scan(chat=False, position=position, backwards=False, records=_RECORDS)
    count = await _compare(service, upstream, [record for record in records if _is_settled(record)])
    await upstream.audits.rest(position, TURN_MS if position else WALK_MS)
    return count


def _is_settled(record: Record) -> bool:
    return bool(record.channels & Channel.NOTIFY and record.notify == State.APPLIED and not record.doubt)


async def _compare(service: Service, upstream: NotifyUpstream, records: list[Record]) -> int:
    if not records:
        return 0
    deadline = time.monotonic() + _SECONDS
    there = await listing(service, upstream, records, deadline)
    findings = []
    for record in records:
        sid = next((trace.sid for trace in record.traces if trace.sid), None)
        held = there.get(record.fingerprint, [])
        if sid is None:
            # Applied in our own store, before it had an upstream.
            findings.append(Finding(record, dead=False))
        elif held:
            decision = decide(record, held)
            if not (isinstance(decision, Agreed) and decision.binding and decision.binding.sid == sid):
                findings.append(Finding(record, dead=False))
        elif upstream.config.vanished == "recreate":
            findings.append(Finding(record, dead=False))
        elif await upstream.bindings.fetch(str(sid), Attempt(deadline)) is None:
            # Asked twice, in two ways: on this word a device loses its registration.
            findings.append(Finding(record, dead=True))
    if not findings:
        return 0
    count, wake = await upstream.audits.found(findings)
    service.wake(wake)
    return count
