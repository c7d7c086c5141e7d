"""Where the walks through a Service are, and what becomes of what the audit's find."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import msgspec

from service.domain.record import Channel, Record
from service.store.section import Section


class Finding(msgspec.Struct, frozen=True):
    """An applied registration that the upstream does not hold as it is known here."""

    record: Record
    dead: bool
    """Whether it holds nothing, and that counts as the provider's word; else it is looked into."""


class Walk(Enum):
    """One of the walks: the audit's, and expiry's."""

    REGISTRATIONS = b"audit"
    """Through what is registered here, to see whether the upstream holds it."""
    BINDINGS = b"walk"
    """Through what the Notify upstream holds, to see whether it is known here."""
    CHAT_BINDINGS = b"chat-walk"
    """Through what the Chat upstream holds, to see whether it is to stay."""
    STALE = b"stale"
    """Through what is registered here, to see whether its device still is."""


class Turns:
    """Taking turns at one walk."""

    def __init__(self, section: Section, walk: Walk) -> None:
        self._section = section
        self._walk = walk.value

    async def claim(self, turn_ms: int) -> bytes | None:
        """The position to go on from, for whoever asks first; None for the others, and for so many milliseconds."""
        found: bytes | None = await self._section.run("audit_turn", self._walk, b"claim", b"%d" % turn_ms, b"")
        return found

    async def rest(self, position: bytes, ms: int, *, claimed: bytes) -> None:
        """Go on from there in so many milliseconds; nothing, if another has gone on from what was claimed since."""
        await self._section.run("audit_turn", self._walk, b"rest", b"%d" % ms, position, claimed)


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
