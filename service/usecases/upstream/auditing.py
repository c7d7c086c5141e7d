"""Auditing: whether an upstream still holds what it was known to hold, a few registrations at a time, at a low rate."""

from __future__ import annotations

import time
from collections.abc import Sequence

import structlog

from service.backends.twilio import Attempt, OutcomeUnknown, Refused
from service.domain.record import Channel, Record, State
from service.domain.upstream import Agreed, decide
from service.store.audits import Finding
from service.usecases.service import Service
from service.usecases.upstream.applying import ByAddress, listing
from service.usecases.upstream.channels import NotifyUpstream

TURN_MS = 3_000
"""Between two steps: about a million registrations in a day."""
WALK_MS = 6 * 3_600_000
"""Between two walks through a Service."""

_RECORDS = 40
_SECONDS = 60.0

_log = structlog.get_logger(__name__)


async def audit_step(service: Service, upstream: NotifyUpstream) -> int | None:
    """One step, if it is time for one and the upstream is well; answers how many registrations were not as known.

    Raises:
        UpstreamError, StoreUnavailable, TooManyRequests: the step is done again later.
    """
    room, _ = await upstream.room()
    if room <= 1:
        return None
    claimed = await upstream.audits.claim(TURN_MS)
    if claimed is None:
        return None
    records, position = await service.reading.scan(chat=False, position=claimed, backwards=False, records=_RECORDS)
    settled, count = [record for record in records if is_settled(record)], 0
    if settled:
        deadline = time.monotonic() + _SECONDS
        listed = await listing(service, upstream, settled, deadline)
        known = [record for record in settled if listed.refusal(record) is None]
        if len(known) < len(settled):
            _log.warning("audit_refused", service=service.sid, registrations=len(settled) - len(known))
        count = await compare(service, upstream, known, listed.there, Attempt(deadline))
    await upstream.audits.rest(position, TURN_MS if position else WALK_MS, claimed=claimed)
    return count


def is_settled(record: Record) -> bool:
    """Whether the upstream is known to hold what is desired of it."""
    return bool(record.channels & Channel.NOTIFY and record.notify == State.APPLIED and not record.doubt)


async def compare(
    service: Service, upstream: NotifyUpstream, settled: Sequence[Record], there: ByAddress, attempt: Attempt
) -> int:
    """Act on what is not as it is known of registrations that were settled before ``there`` was listed.

    Answers how many that were.

    Raises:
        UpstreamError, StoreUnavailable, StoreFull, TooManyRequests
    """
    findings = []
    for record in settled:
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
        elif await _has_gone(upstream, str(sid), attempt):
            # Asked twice, in two ways: on this word a device loses its registration.
            findings.append(Finding(record, dead=True))
    if not findings:
        return 0
    count, wake = await upstream.audits.found(findings)
    service.wake(wake)
    return count


async def _has_gone(upstream: NotifyUpstream, sid: str, attempt: Attempt) -> bool:
    try:
        return await upstream.bindings.fetch(sid, attempt) is None
    except Refused as refused:
        if not refused.bad_request:
            raise
    except OutcomeUnknown:
        pass
    # No answer about this one, which must not keep the walk from the others.
    return False
