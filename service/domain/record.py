"""The layout of a record: one registration, or one Chat binding, as the store keeps it.

A record is a fixed little-endian header that the store's scripts read, the address, and MessagePack blobs that no
script opens: the attributes, the extras (what only our own routes know), and, while a change by the same owner is
pending, the last applied version. ``store/lua/lib/record.lua`` holds the same layout; a test compares the two.

==============  ======  ==============================================================================
field           bytes   meaning
==============  ======  ==============================================================================
layout          1       1, or 2 as below
type            1       number of the binding type
channels        1       desired: 1 Notify, 2 Chat; 0 once removed, until the removal is applied
notify, chat    1 + 1   observed state in each channel (`State`)
attempts        1       failed tries of the pending change
owner           16      digest of the identity; in hex its User SID
device          12      digest of the device id (of a Chat binding: of its endpoint); zeros for none
link            12      key of the Chat binding (of a Chat binding: of its registration); zeros for none
session         8       digest of the session that registered it; zeros for none
version         8       grows with every change of the desired state
generation      8       the version of the last registration: removals do not change it
nonce           4       the end of the binding's SID
created         4       seconds since the epoch: when this version was accepted
updated         4       seconds since the epoch: when it was last applied or changed
seen            4       seconds since the epoch: when the app last registered it, to the hour
lengths         3 × 2   of address, attributes and extras
==============  ======  ==============================================================================

Layout 2 is that of records whose bindings are kept at an upstream that knows, or may know, of them. Behind the three
parts follow the length of the last applied version (2 bytes) and itself, until when calls of unknown outcome may yet
take effect there (8, milliseconds since the epoch), whether the upstream was full (1), and the traces of what it has,
or may have, for the address: type (1), SID (16, zeros if not known), length (2) and the attributes as they were sent,
left out where they are the record's own.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum, IntFlag

import msgspec

from service.domain.addresses import BindingType
from service.domain.sids import BindingSid

HEADER = struct.Struct("<BBBBBB16s12s12s8sQQ4sIIIHHH")
APPLIED = struct.Struct("<B4sII")
DOUBT = struct.Struct("<QB")
TRACE = struct.Struct("<B16sH")
LAYOUT, TRACED = 1, 2
NO_SID = bytes(16)


class Channel(IntFlag):
    """Where a registration wants to be bound."""

    NOTIFY = 1
    CHAT = 2


ALL_CHANNELS, NO_CHANNEL = Channel.NOTIFY | Channel.CHAT, Channel(0)


class State(IntEnum):
    """What is known of a backend, against the desired state."""

    NONE = 0
    PENDING = 1
    APPLIED = 2
    FAILED = 3
    UNKNOWN = 4


class Attributes(msgspec.Struct, array_like=True, frozen=True):
    """What a backend is told of a binding besides its address and type. Fields are only ever appended."""

    identity: str
    tags: tuple[str, ...] = ()
    credential_sid: str | None = None
    protocol_version: str | None = None
    message_types: tuple[str, ...] | None = None


class Extras(msgspec.Struct, array_like=True, frozen=True):
    """What only the native routes know of a registration. Fields are only ever appended."""

    device_id: str | None = None
    endpoint: str | None = None
    message_types: tuple[str, ...] | None = None


_encoder = msgspec.msgpack.Encoder()
encode_blob = _encoder.encode
decode_attributes = msgspec.msgpack.Decoder(Attributes).decode
decode_extras = msgspec.msgpack.Decoder(Extras).decode
NO_EXTRAS = encode_blob(Extras())


def pack_address(address: str) -> bytes:
    """The stored form of a canonical address: lower-case hex digits are kept as the bytes they spell."""
    try:
        raw = bytes.fromhex(address)
    except ValueError:
        return b"=" + address.encode()
    return b"#" + raw if raw and raw.hex() == address else b"=" + address.encode()


def unpack_address(stored: bytes) -> str:
    """The canonical address of a stored form."""
    return stored[1:].hex() if stored[:1] == b"#" else stored[1:].decode()


class Visible(msgspec.Struct, frozen=True):
    """A binding as a backend holds it now: what the Notify and Chat routes show."""

    sid: BindingSid
    kind: BindingType
    created: int
    updated: int
    attributes: Attributes


class Trace(msgspec.Struct, frozen=True):
    """What an upstream has, or may have, for an address: as it was sent, and under which SID if that is known."""

    kind: BindingType
    sid: BindingSid | None
    attributes: Attributes


class Record:
    """One record, its header taken apart; the blobs are decoded when asked for."""

    __slots__ = (
        "_raw",
        "_starts",
        "attempts",
        "channels",
        "chat",
        "created",
        "device",
        "fingerprint",
        "generation",
        "kind",
        "layout",
        "link",
        "nonce",
        "notify",
        "owner",
        "seen",
        "session",
        "updated",
        "version",
    )  # fmt: skip

    def __init__(self, fingerprint: bytes, raw: bytes) -> None:
        (
            self.layout, kind, self.channels, self.notify, self.chat, self.attempts, self.owner, self.device, self.link,
            self.session, self.version, self.generation, self.nonce, self.created, self.updated, self.seen,
            address, attributes, extras,
        ) = HEADER.unpack_from(raw)  # fmt: skip
        if self.layout > TRACED:
            raise ValueError(f"record layout {self.layout} is not known here")
        self.fingerprint = fingerprint
        self.kind = kind
        self._raw = raw
        attributes_at = HEADER.size + address
        extras_at = attributes_at + attributes
        self._starts: tuple[int, ...] = (HEADER.size, attributes_at, extras_at, extras_at + extras)

    def _section(self, index: int) -> bytes:
        return self._raw[self._starts[index] : self._starts[index + 1]]

    @property
    def type(self) -> BindingType:
        """The desired binding type."""
        return BindingType.of(self.kind)

    @property
    def address(self) -> str:
        """The canonical address (of a Chat binding: its endpoint)."""
        return unpack_address(self._section(0))

    @property
    def attributes(self) -> Attributes:
        """The desired attributes."""
        return decode_attributes(self._section(1))

    @property
    def extras(self) -> Extras:
        """What only the native routes know."""
        return decode_extras(self._section(2))

    @property
    def sid(self) -> BindingSid:
        """The SID that the desired version has once it is applied."""
        return BindingSid(self.fingerprint, self.nonce)

    def visible(self, channel: Channel) -> Visible | None:
        """What is applied and still desired in ``channel`` of the record's own backend, if anything is.

        A pending change by the same owner leaves the last applied version visible; nothing is visible once removed.
        """
        if not self.channels & channel:
            return None
        if self._state(channel) == State.APPLIED:
            shown = self._shown(self.nonce, self._section(1))
            return Visible(shown, self.type, self.created, self.updated, self.attributes)
        past = self._past()
        if not past:
            return None
        kind, nonce, created, updated = APPLIED.unpack_from(past)
        attributes = past[APPLIED.size :]
        shown = self._shown(nonce, attributes)
        return Visible(shown, BindingType.of(kind), created, updated, decode_attributes(attributes))

    def visible_sid(self, channel: Channel) -> BindingSid | None:
        """The SID of what is visible in ``channel``: that alone is cheaper than all of it."""
        if not self.channels & int(channel):
            return None
        if self._state(channel) == State.APPLIED:
            return self._shown(self.nonce, self._section(1))
        past = self._past()
        return self._shown(APPLIED.unpack_from(past)[1], past[APPLIED.size :]) if past else None

    def _shown(self, nonce: bytes, attributes: bytes) -> BindingSid:
        if self.layout == TRACED:
            for _, sid, held in self._traces():
                if sid != NO_SID and held == attributes:
                    return BindingSid.of(sid)
        return BindingSid(self.fingerprint, nonce)

    def _state(self, channel: Channel) -> int:
        state: int = self.notify if channel is Channel.NOTIFY else self.chat
        return state

    def _past(self) -> bytes:
        start = self._starts[-1]
        if self.layout == LAYOUT:
            return self._raw[start:]
        return self._raw[start + 2 : start + 2 + self._past_length(start)]

    def _past_length(self, start: int) -> int:
        return int.from_bytes(self._raw[start : start + 2], "little")

    @property
    def raw(self) -> bytes:
        """As the store keeps it."""
        return self._raw

    @property
    def doubt(self) -> int:
        """Milliseconds of the store's time until which calls of unknown outcome may yet take effect; 0 for none."""
        return self._doubts()[0]

    @property
    def full(self) -> bool:
        """Whether the upstream has had no room for it."""
        return bool(self._doubts()[1])

    @property
    def traces(self) -> list[Trace]:
        """What an upstream has, or may have, for this address."""
        if self.layout == LAYOUT:
            return []
        return [
            Trace(BindingType.of(kind), None if sid == NO_SID else BindingSid.of(sid), decode_attributes(attributes))
            for kind, sid, attributes in self._traces()
        ]

    def _traces(self) -> Iterator[tuple[int, bytes, bytes]]:
        raw, at = self._raw, self._doubts_at() + DOUBT.size
        while at < len(raw):
            kind, sid, length = TRACE.unpack_from(raw, at)
            at += TRACE.size + length
            yield kind, sid, raw[at - length : at] if length else self._section(1)

    def _doubts_at(self) -> int:
        start = self._starts[-1]
        return start + 2 + self._past_length(start)

    def _doubts(self) -> tuple[int, int]:
        if self.layout == LAYOUT:
            return 0, 0
        doubt, full = DOUBT.unpack_from(self._raw, self._doubts_at())
        return doubt, full
