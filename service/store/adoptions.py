"""Adopting: bindings that were found elsewhere become records, where what is known here does not speak against it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import msgspec

from service.domain.addresses import BindingType
from service.domain.fingerprints import NO_DEVICE, Fingerprints
from service.domain.limits import PER_IDENTITY
from service.domain.record import NO_EXTRAS, Attributes, Channel, encode_blob, pack_address
from service.domain.sids import BindingSid
from service.store.section import Section

AT_ONCE = 100
"""The most bindings that one transaction takes: some milliseconds of the store's time."""


class Source(Enum):
    """Where bindings were found, which decides who wins."""

    COLD = b"cold"
    """A list of identities that somebody asked for: what is registered here counts for more."""
    AUDIT = b"audit"
    """A walk through everything that the upstream holds: likewise."""
    IMPORT = b"import"
    """An explicit import: the newer one wins."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A binding as it was found. ``address`` is canonical (of a Chat binding: its endpoint); times are in seconds.

    Without a time it counts as older than everything.
    """

    channel: Channel
    sid: BindingSid
    kind: BindingType
    address: str
    attributes: Attributes
    created: int = 0
    updated: int = 0
    respelled: bool = False
    """Whether the upstream spells the address otherwise: there it stands beside what is registered as canonical."""


class Outcome(Enum):
    """What became of one of them."""

    ADOPTED = b"adopted"
    """It is shown from now on."""
    REPLACED = b"replaced"
    """An import's, newer than what was registered here."""
    SAME = b"same"
    """It was known."""
    OURS = b"ours"
    """What is registered here stays."""
    REMOVED = b"removed"
    """It belongs to what a logout or a takeover has ended here: it is owed that it is deleted at the upstream."""
    ENDED = b"ended"
    """The same, without an upstream that would have to be told."""
    FULL = b"full"
    """Its identity has as many as it may have in all channels."""
    COLLISION = b"collision"
    """Two addresses share a fingerprint."""
    STALE = b"stale"
    """Nothing was done: the list is too old to be acted on."""


class Adopted(msgspec.Struct, frozen=True):
    """One outcome for each binding, and the lanes to wake."""

    outcomes: list[Outcome]
    wake: bytes


class Adoptions:
    """Adopting into one Service, whose bindings are kept at an upstream in the channels ``external``."""

    def __init__(self, section: Section, *, longest_ms: int, events_max: int, external: Channel) -> None:
        self._section = section
        self._runs = {channel: section.bound(channel, here=False) for channel in (Channel.NOTIFY, Channel.CHAT)}
        self._longest_ms = b"%d" % longest_ms
        self._events_max = b"%d" % events_max
        self._external = section.by_backend(external, lambda there: b"%d" % there)

    async def begin(self) -> int:
        """When a list is about to be asked for, in milliseconds by the store's clock.

        Raises:
            StoreUnavailable, TooManyRequests
        """
        return int(await self._section.run("clock"))

    async def adopt(
        self, source: Source, found: Sequence[Found], *, began: int | None = None, dry: bool = False
    ) -> Adopted:
        """Adopt what can be adopted; ``began`` says when it was listed (`begin`), if it was.

        ``dry`` only tells what would become of them.

        Raises:
            StoreUnavailable, StoreFull, TooManyRequests: a part may have been adopted; doing it again does no harm.
        """
        outcomes: list[Outcome] = []
        lanes: dict[bytes, None] = {}
        for first in range(0, len(found), AT_ONCE):
            wake, *said = await self._runs[found[first].channel](
                "adopt",
                source.value,
                b"1" if dry else b"0",
                b"" if began is None else b"%d" % began,
                self._longest_ms,
                self._external,
                b"%d" % PER_IDENTITY,
                NO_EXTRAS,
                self._events_max,
                *(part for each in found[first : first + AT_ONCE] for part in row(self._section.fingerprints, each)),
            )
            outcomes += map(Outcome, said)
            lanes |= dict.fromkeys(wake[n : n + 2] for n in range(0, len(wake), 2))
        return Adopted(outcomes, b"".join(lanes))


def row(prints: Fingerprints, binding: Found) -> tuple[bytes, ...]:
    """A binding as scripts read it."""
    owner = prints.owner(binding.attributes.identity)
    if binding.channel is Channel.CHAT:
        key = prints.chat(owner, binding.address, binding.kind.code)
        space, endpoint = b"k", prints.endpoint(binding.address)
    else:
        key, space, endpoint = prints.address(binding.address), b"r", NO_DEVICE
    return (
        space,
        key,
        binding.sid.raw,
        owner,
        b"%d" % binding.kind.code,
        pack_address(binding.address),
        encode_blob(binding.attributes),
        b"%d" % binding.created,
        b"%d" % binding.updated,
        endpoint,
        b"1" if binding.respelled else b"0",
    )
