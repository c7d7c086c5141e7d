"""What becomes of what the audit's walk through a Service finds."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from service.domain.record import Channel, Record
from service.store.section import Section
from service.store.walks import Turns, Walk


class Finding(msgspec.Struct, frozen=True):
    """An applied registration that the upstream does not hold as it is known here."""

    record: Record
    dead: bool
    """Whether it holds nothing, and that counts as the provider's word; else it is looked into."""


class Audits(Turns):
    """The audit of what is registered here with one Service's Notify upstream."""

    def __init__(self, section: Section, *, longest_ms: int, events_max: int, external: Channel) -> None:
        super().__init__(section, Walk.REGISTRATIONS)
        self._longest_ms = b"%d" % longest_ms
        self._events_max = b"%d" % events_max
        self._external = section.by_backend(external, lambda there: b"%d" % there)
        self._run = section.bound(Channel.NOTIFY, here=False)

    async def found(self, findings: Sequence[Finding]) -> tuple[int, bytes]:
        """Act on findings; answers how many still hold, and the lanes to wake."""
        args = [part for finding in findings for part in _args(finding)]
        count, wake = await self._run("audited", self._longest_ms, self._external, self._events_max, *args)
        return count, wake


def _args(finding: Finding) -> tuple[bytes, ...]:
    record = finding.record
    sid = next((trace.sid.raw for trace in record.traces if trace.sid), b"")
    return record.fingerprint, b"%d" % record.version, sid, b"dead" if finding.dead else b"look"
