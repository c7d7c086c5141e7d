"""What the metrics tell of work that was settled with an upstream."""

from __future__ import annotations

from collections.abc import Iterable

from service.domain.jobs import Lane, Ledger
from service.domain.record import Record, State
from service.store.ledger import Owed, Verdict
from service.telemetry.catalogue import APPLIED, SETTLED
from service.usecases.service import Service
from workers.lateness import delay_seconds

_DONE = (Verdict.HELD, Verdict.GONE)


def tell(service: Service, lane: Lane, worked: Iterable[tuple[Record, Owed, Verdict]], seconds: float) -> None:
    """Show verdicts, and the delays of what was applied; ``seconds`` after it was taken."""
    labels = service.config.name, lane.ledger.name.lower()
    for record, owed, verdict in worked:
        SETTLED.labels(*labels, verdict.name.lower()).inc()
        state = record.notify if lane.ledger is Ledger.NOTIFY else record.chat
        # What is only looked at again was applied before.
        if verdict in _DONE and state == State.PENDING:
            APPLIED.labels(*labels).observe(delay_seconds(record, owed, seconds))
