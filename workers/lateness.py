"""How long what was applied had been owed: the delay that apps and back ends see.

An entry's score in the ledger says since when it is owed, to the millisecond, but only until it is first put off: then
the record tells when it was accepted, to the second. Whatever takes seconds needs no milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client import Histogram

from service.domain.record import Record
from service.store.ledger import Owed, Settlement, Verdict

_APPLIED = (Verdict.HELD, Verdict.GONE)


def delay_seconds(record: Record, owed: Owed, seconds: float) -> float:
    """From the answer to now, ``seconds`` after the entry was taken."""
    if owed.since_ms is not None and not record.attempts:
        waited = owed.taken_ms - owed.since_ms
    else:
        # A removal keeps the time at which what it removes was registered.
        accepted = record.created if record.channels else record.updated
        waited = owed.taken_ms - 1000 * accepted
    return max(0.0, waited / 1000) + seconds


def observe(
    histogram: Histogram, taken: Iterable[tuple[Record, Owed]], settlements: Sequence[Settlement], seconds: float
) -> None:
    """Show the delays of what was applied, ``seconds`` after it was taken."""
    applied = {s.fingerprint for s in settlements if s.verdict in _APPLIED}
    for record, owed in taken:
        if record.fingerprint in applied:
            histogram.observe(delay_seconds(record, owed, seconds))
