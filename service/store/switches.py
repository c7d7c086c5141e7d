"""Switching a Service's backend: from its upstreams to this store, and back."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from service.domain.record import Channel
from service.store.adoptions import Found, row
from service.store.section import Section

AT_ONCE = 100


class Switch(msgspec.Struct, frozen=True):
    """Where a Service stands. Times are in seconds by the store's clock; 0 if the two sides did not agree then."""

    cut_over: bool
    since: int
    """When it was cut over."""
    taken_back: int | None
    """When what is being taken back was cut over; None if nothing is."""


class Switches:
    """The switch of one Service, whose bindings are at upstreams in the channels ``external``."""

    def __init__(self, section: Section, *, external: Channel, events_max: int) -> None:
        self._section = section
        self._here = section.bound(cut_over=True)
        self._there = section.bound(cut_over=False)
        self._external = b"%d" % external
        self._events_max = b"%d" % events_max

    async def look(self) -> Switch:
        """Where it stands."""
        return await self._switch(b"")

    async def over(self, *, agreed: bool) -> Switch:
        """To this store; ``agreed``: both sides were compared, and did not differ."""
        return await self._switch(b"over", b"1" if agreed else b"0")

    async def back(self) -> Switch:
        """To the upstreams; what has changed since is to be sent there, until `done`."""
        return await self._switch(b"back")

    async def done(self) -> Switch:
        """All of it has been owed to the upstream."""
        return await self._switch(b"done")

    async def _switch(self, *ask: bytes) -> Switch:
        backend, since, undo = await self._section.run("switch", *ask)
        await self._section.follow()
        return Switch(bool(backend), int(since), int(undo) if undo != b"" else None)

    async def entitle(self, sids: Sequence[tuple[bytes, bytes, bool]]) -> None:
        """Give Chat bindings, by key, the SIDs that they have there; True: they have another type there."""
        args = [part for key, sid, other in sids for part in (key, sid, b"1" if other else b"0")]
        await self._there("entitle", self._events_max, *args)

    async def settle_here(self, keys: Sequence[tuple[bytes, bytes]]) -> bytes:
        """Owe to this store what was owed to the upstream, by space and key; answers the lanes to wake."""
        wake: bytes = await self._here("cut_over", self._events_max, *(part for pair in keys for part in pair))
        return wake

    async def take_back(self, keys: Sequence[tuple[bytes, bytes]], gone: Sequence[Found] = ()) -> bytes:
        """Owe these records to the upstream, and that bindings there go whose addresses are known here no more.

        Answers the lanes to wake.
        """
        args = [part for space, key in keys for part in (space, key, *[b""] * 5)]
        for found in gone:
            _, key, sid, owner, kind, address, attributes, *_ = row(self._section.fingerprints, found)
            args += [b"x", key, owner, kind, sid, address, attributes]
        wake: bytes = await self._there("take_back", self._external, self._events_max, *args)
        return wake
