"""Where the walks through a Service are, which processes take turns at."""

from __future__ import annotations

from enum import Enum

from service.store.section import Section


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
