"""The Notify ledger of a Service with an upstream: taken under lease, settled with what was seen there."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import msgspec

from service.domain.addresses import BindingType
from service.domain.jobs import Lane
from service.domain.record import Channel, Record
from service.domain.sids import BindingSid
from service.store.ledger import Owed, Settlement, Verdict, owed_since
from service.store.section import Section


class Report(Enum):
    """What is known of an address at the upstream after the work on it."""

    SAME = b"same"
    """No more than before."""
    IS = b"is"
    """Just the binding of ``Seen``, or none."""
    UNKNOWN = b"unknown"
    """Something was sent, ``Seen`` if it was to create that, and nobody knows what came of it."""


class Seen(msgspec.Struct, frozen=True):
    """A binding at the upstream: its SID if that is known, its type, and its attributes as a blob."""

    sid: BindingSid | None
    kind: BindingType
    attributes: bytes


class Observation(msgspec.Struct, frozen=True):
    """The verdict on one record, and what is known of its address at the upstream."""

    record: Record
    verdict: Verdict
    report: Report = Report.SAME
    seen: Seen | None = None
    delay_ms: int = 0
    reason: str = ""

    def args(self) -> tuple[bytes, ...]:
        """The ten arguments that the script reads."""
        record, seen = self.record, self.seen
        base = Settlement(record.fingerprint, record.version, self.verdict, self.delay_ms, self.reason).args()
        shown = (
            (seen.sid.raw if seen.sid else b"", b"%d" % seen.kind.code, seen.attributes) if seen else (b"", b"", b"")
        )
        return (*base, self.report.value, *shown, record.raw)


class Taken(msgspec.Struct, frozen=True):
    """A leased record, the one that has taken its place on its device, if it was removed, and since when it is owed."""

    record: Record
    successor: Record | None
    owed: Owed


class UpstreamLease(msgspec.Struct, frozen=True):
    """Entries taken from a lane together; ``began`` is when, in milliseconds of the store's time."""

    token: bytes
    began: int
    taken: list[Taken]


class UpstreamLedger:
    """What is owed to a Service's Notify upstream. ``longest_ms``: how long a lost request may still take effect."""

    def __init__(self, section: Section, *, longest_ms: int, events_max: int) -> None:
        self._run = section.bound(Channel.NOTIFY, here=False)
        self._longest_ms = b"%d" % longest_ms
        self._events_max = b"%d" % events_max

    async def take(self, lane: Lane, limit: int, lease_ms: int) -> UpstreamLease | None:
        """Lease up to ``limit`` due entries of a lane; None, and the wake flag cleared, if none is due."""
        reply = await self._run("take_upstream", lane.key.encode(), b"%d" % limit, b"%d" % lease_ms, self._longest_ms)
        if not reply:
            return None
        owed = owed_since(reply[5::4], reply[0], lease_ms)
        taken = [
            # Of a successor only its state is looked at: its key is not known here.
            Taken(Record(reply[n], reply[n + 1]), Record(b"", reply[n + 2]) if reply[n + 2] else None, since)
            for n, since in zip(range(2, len(reply), 4), owed, strict=True)
        ]
        return UpstreamLease(reply[0], int(reply[1]), taken)

    async def settle(self, lane: Lane, lease: UpstreamLease, observations: Sequence[Observation]) -> int:
        """Settle leased entries; what no longer matches stays owed. Answers how many matched."""
        args = [part for observation in observations for part in observation.args()]
        settled: int = await self._run(
            "settle_upstream",
            lane.key.encode(),
            lease.token,
            b"%d" % lease.began,
            self._longest_ms,
            self._events_max,
            *args,
        )
        return settled
