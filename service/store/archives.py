"""Writing registrations from an archive: many in one transaction, with all that they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from types import MappingProxyType

from service.domain.addresses import BindingType, canonical
from service.domain.archive import ChatLine, ChatPart, RegistrationLine
from service.domain.fingerprints import NO_DEVICE, NO_LINK, NO_SESSION
from service.domain.limits import PER_IDENTITY
from service.domain.record import ALL_CHANNELS, NO_CHANNEL, Channel, encode_blob, pack_address
from service.store.section import Section

AT_ONCE = 100
"""Lines in one transaction: some milliseconds of the store's time."""

_NO_PART = (NO_LINK, NO_DEVICE, b"0", b"0", b"", b"", b"", b"0", b"0", b"0", b"0", b"0")
_NO_REGISTRATION = (b"",) * 14
_NO_CAP = b"0"


class Restored(Enum):
    """What became of a line."""

    NEW = b"new"
    REPLACED = b"replaced"
    """It has replaced something older."""
    SAME = b"same"
    """It is here already."""
    NEWER = b"newer"
    """Something newer is here, and stays."""
    FENCED = b"fenced"
    """A logout here has ended it since."""
    FULL = b"full"
    """Its identity has as many as it may have."""
    COLLISION = b"collision"
    """Another address has the same fingerprint."""
    FUTURE = b"future"
    """Its version is of a time to come."""


class Archives:
    """What archives may write to one Service."""

    def __init__(self, section: Section, *, cap: int, events_max: int, external: Channel) -> None:
        self._section = section
        self.cap = cap
        self._limits = b"%d" % PER_IDENTITY, b"%d" % events_max
        self._external = external

    async def restore(
        self,
        lines: Sequence[RegistrationLine | ChatLine],
        *,
        same_key: bool,
        caps: Mapping[str, int] = MappingProxyType({}),
        dry_run: bool = False,
    ) -> tuple[list[Restored], bytes]:
        """Make these lines the desired state where nothing newer is here; answers what became of each.

        ``same_key``: they come from the same Service under the same fingerprint key, so that their sessions mean the
        same here. ``caps``: of identities that may have more Notify registrations than the cap. Also answers the lanes
        to wake.

        Raises:
            StoreUnavailable, StoreFull, TooManyRequests: it may have taken effect; the same again does no harm.
        """
        args = [part for line in lines for part in self._args(line, same_key, caps)]
        modes = self._section.by_backend(self._external, lambda there: b"%d" % (ALL_CHANNELS & ~there | there << 2))
        wake, *outcomes = await self._section.run("restore", modes, *self._limits, b"1" if dry_run else b"0", *args)
        return [Restored(outcome) for outcome in outcomes], wake

    def _args(self, line: RegistrationLine | ChatLine, same_key: bool, caps: Mapping[str, int]) -> tuple[bytes, ...]:
        """The 29 arguments that the script reads of each."""
        prints = self._section.fingerprints
        owner = prints.owner(line.identity)
        if isinstance(line, ChatLine):
            part = self._part(line, line.identity, owner, line.binding_type or BindingType.APN)
            return (b"", owner, *_NO_REGISTRATION, *part, _NO_CAP)
        address, chat = canonical(line.binding_type, line.address), line.chat
        channels = (Channel.NOTIFY if line.notify else NO_CHANNEL) | (Channel.CHAT if chat else NO_CHANNEL)
        return (
            prints.address(address),
            owner,
            prints.device(line.device_id),
            bytes.fromhex(line.session) if line.session and same_key else NO_SESSION,
            b"%d" % line.binding_type.code,
            b"%d" % channels,
            b"1" if line.applied else b"0",
            pack_address(address),
            encode_blob(line.attributes),
            encode_blob(line.extras),
            bytes.fromhex(line.sid[2:]),
            b"%d" % line.version,
            b"%d" % line.generation,
            b"%d" % line.created,
            b"%d" % line.updated,
            b"%d" % line.seen,
            *(self._part(chat, line.identity, owner, line.binding_type) if chat else _NO_PART),
            b"%d" % caps.get(line.identity, self.cap),
        )

    def _part(self, part: ChatPart, identity: str, owner: bytes, kind: BindingType) -> tuple[bytes, ...]:
        kind = part.binding_type or kind
        prints = self._section.fingerprints
        return (
            prints.chat(owner, part.endpoint, kind.code),
            prints.endpoint(part.endpoint),
            b"%d" % kind.code,
            b"1" if part.applied else b"0",
            pack_address(part.endpoint),
            encode_blob(part.attributes_of(identity)),
            bytes.fromhex(part.sid[2:]),
            b"%d" % part.version,
            b"%d" % part.generation,
            b"%d" % part.created,
            b"%d" % part.updated,
            b"%d" % part.seen,
        )
