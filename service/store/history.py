"""The history of a Service: its stream of events, to which every change of state is written in the same step."""

from __future__ import annotations

from collections.abc import AsyncIterator

from service.domain.events import Event, decode_event
from service.store.section import Section

_AT_ONCE = 500


class History:
    """Reads one Service's events."""

    def __init__(self, section: Section) -> None:
        self._section = section

    async def latest(self) -> AsyncIterator[Event]:
        """All that are kept, the latest first.

        Raises:
            StoreUnavailable, TooManyRequests
        """
        before = b"+"
        while before:
            entries: list[tuple[bytes, list[bytes]]] = await self._section.run("events", before, b"%d" % _AT_ONCE)
            for entry_id, fields in entries:
                yield decode_event(entry_id, fields)
            before = b"(" + entries[-1][0] if len(entries) == _AT_ONCE else b""
