"""Switching a Service's backends: from its upstreams to this store, and back, Notify and Chat each for itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from service.domain.record import NO_CHANNEL, Channel
from service.store.adoptions import Found, row
from service.store.section import Section

AT_ONCE: Final = 100
"""Records in one transaction."""

SPACES: Final = {Channel.NOTIFY: b"r", Channel.CHAT: b"k"}
"""Where the records of a channel's bindings lie."""


class Switch(msgspec.Struct, frozen=True):
    """Where a Service stands."""

    cut_over: Channel
    """The channels whose bindings are kept here in place of upstreams."""
    taken_back: Mapping[Channel, int]
    """The channels whose switch is being undone, and until when what is there counts as known here at the switch: in
    seconds by the store's clock, or 0 if the two sides did not agree then."""


class Switches:
    """The switch of one Service, whose bindings are configured to be at upstreams in the channels ``external``."""

    def __init__(self, section: Section, *, external: Channel, events_max: int) -> None:
        self._section = section
        self._here = {channel: section.bound(channel, here=True) for channel in SPACES}
        self._there = {channel: section.bound(channel, here=False) for channel in SPACES}
        self._external = section.by_backend(external, lambda there: b"%d" % there)
        self._events_max = b"%d" % events_max

    async def look(self) -> Switch:
        """Where it stands."""
        return await self._switch(b"", NO_CHANNEL)

    async def over(self, channels: Channel, *, agreed: bool, late: int = 0) -> Switch:
        """To this store; ``agreed``: both sides were compared, and did not differ.

        ``late``: the seconds after which no Notify call that is under way can take effect any more.
        """
        return await self._switch(b"over", channels, b"1" if agreed else b"0", b"%d" % late)

    async def back(self, channels: Channel) -> Switch:
        """To the upstreams; what has changed since is to be sent there, until `done`."""
        return await self._switch(b"back", channels)

    async def done(self, channels: Channel) -> Switch:
        """All of it has been owed to the upstream."""
        return await self._switch(b"done", channels)

    async def _switch(self, ask: bytes, channels: Channel, *more: bytes) -> Switch:
        here, *undone = await self._section.run("switch", ask, b"%d" % channels, *more)
        await self._section.follow()
        since = zip(SPACES, undone, strict=True)
        return Switch(Channel(int(here)), {channel: int(at) for channel, at in since if at != b""})

    async def entitle(self, sids: Sequence[tuple[bytes, bytes, bool]]) -> None:
        """Give Chat bindings, by key, the SIDs that they have there; True: they have another type there."""
        args = [part for key, sid, other in sids for part in (key, sid, b"1" if other else b"0")]
        await self._there[Channel.CHAT]("entitle", self._events_max, *args)

    async def settle_here(self, channel: Channel, keys: Sequence[bytes]) -> bytes:
        """Owe to this store what was owed to the upstream, by records' keys; answers the lanes to wake."""
        args = [part for key in keys for part in (SPACES[channel], key)]
        wake: bytes = await self._here[channel]("cut_over", self._events_max, *args)
        return wake

    async def take_back(self, channel: Channel, keys: Sequence[bytes], gone: Sequence[Found] = ()) -> bytes:
        """Owe these records to the upstream, and that Notify bindings go whose addresses are known here no more.

        Answers the lanes to wake.
        """
        args = [part for key in keys for part in (SPACES[channel], key, *[b""] * 5)]
        for found in gone:
            _, key, sid, owner, kind, address, attributes, *_ = row(self._section.fingerprints, found)
            args += [b"x", key, owner, kind, sid, address, attributes]
        wake: bytes = await self._there[channel]("take_back", self._external, self._events_max, *args)
        return wake
