"""Reading: single records, the maps of identities, and Service-wide lists in the order of the fingerprints."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from service.domain.record import Channel, Record
from service.domain.sids import BindingSid
from service.store.section import Section

BUCKETS_PER_CALL = 2048
"""Buckets that one call of the scan looks into: about a millisecond of the store's time."""


class Reading:
    """What can be read of one Service."""

    def __init__(self, section: Section) -> None:
        self._section = section
        self._chat_there = section.bound(Channel.CHAT, here=False)

    async def registration(self, fingerprint: bytes) -> Record | None:
        """The record of an address, removed ones included while their removal is pending."""
        return await self._record(b"r", fingerprint)

    async def chat_binding(self, key: bytes) -> Record | None:
        """The record of a Chat binding, likewise."""
        return await self._record(b"k", key)

    async def binding(self, sid: BindingSid, *, chat: bool = False) -> Record | None:
        """The record that a binding's SID leads to, ours or one that an upstream gave; it may show another by now."""
        key, raw = await self._section.run("find", b"k" if chat else b"r", sid.raw)
        return Record(key, raw) if raw else None

    async def _record(self, space: bytes, key: bytes) -> Record | None:
        raw = await self._section.run("fetch", space, key)
        return Record(key, raw) if raw else None

    async def registrations_of(self, owners: Sequence[bytes]) -> list[list[tuple[Record, Record | None]] | None]:
        """For each owner its registrations with their Chat bindings, or None if the Service has never seen it."""
        reply = await self._section.run("lookup", *owners)
        return [None if found is None else list(_pairs(found)) for found in reply]

    async def chat_bindings_of(self, owners: Sequence[bytes]) -> list[list[Record] | None]:
        """For each owner its Chat bindings, removed ones included; None if the Service has never seen it."""
        reply = await self._section.run("lookup_chat", *owners)
        return [None if found is None else _records(found) for found in reply]

    async def owners_of_endpoints(self, endpoints: Sequence[bytes], *, adopted: bool = False) -> list[bytes]:
        """For each digest of a Chat endpoint the owner who has registered it, or empty; with ``adopted`` imported
        ones count as well.
        """
        if not endpoints:
            return []
        found: list[bytes] = await self._section.run("owners", b"1" if adopted else b"0", *endpoints)
        return found

    async def chat_logouts(self, owners: Sequence[bytes]) -> tuple[int, list[int]]:
        """For each owner when, in seconds, it was last logged out of Chat as a whole; 0 if that is not remembered.

        Before these: when the Service was cut over, while that is being undone; else 0. To be read after the upstream's
        list that is judged by it, be it empty.

        Raises:
            BackendSwitched: bindings are kept elsewhere than this process believed, until now.
        """
        undone, *found = await self._chat_there("chat_logouts", *owners)
        return undone, found

    async def scan(
        self, *, chat: bool, position: bytes, backwards: bool, records: int, buckets: int = BUCKETS_PER_CALL
    ) -> tuple[list[Record], bytes]:
        """Up to ``records`` records after ``position`` (before it, ``backwards``), and where to go on.

        The position to go on from is empty at the end of the list.
        """
        reply = await self._section.run(
            "scan",
            b"k" if chat else b"r",
            position,
            b"1" if backwards else b"0",
            b"%d" % records,
            b"%d" % buckets,
        )
        return _records(reply[1:]), reply[0]

    async def walk(self, *, chat: bool, records: int) -> AsyncIterator[list[Record]]:
        """All records in the order of their fingerprints, up to so many at a time."""
        position, more = b"", True
        while more:
            found, position = await self.scan(chat=chat, position=position, backwards=False, records=records)
            yield found
            more = bool(position)


def _records(flat: list[bytes]) -> list[Record]:
    return [Record(flat[n], flat[n + 1]) for n in range(0, len(flat), 2)]


def _pairs(flat: list[Any]) -> list[tuple[Record, Record | None]]:
    pairs = []
    for n in range(0, len(flat), 3):
        record = Record(flat[n], flat[n + 1])
        pairs.append((record, Record(record.link, flat[n + 2]) if flat[n + 2] else None))
    return pairs
