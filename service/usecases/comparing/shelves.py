"""What an upstream's list shows, packed and put on shelves by the first byte of its key; one at a time is compared.

A Notify binding takes 56 bytes here, where as an object it takes half a kilobyte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec

from service.domain.addresses import BindingType
from service.domain.record import Attributes
from service.domain.sids import BindingSid

_SHELVES = 256


class Binding(msgspec.Struct, frozen=True):
    """A Notify binding at an upstream, as it is compared."""

    fingerprint: bytes
    sid: BindingSid
    owner: bytes
    digest: bytes
    """Of all that two sides can differ in, but the protocol version."""
    version: bytes


def digest(kind: BindingType, attributes: Attributes) -> bytes:
    """Eight bytes for identity, type, tags and credential."""
    told = (kind.code, attributes.identity, sorted(set(attributes.tags)), attributes.credential_sid)
    return hashlib.blake2b(msgspec.msgpack.encode(told), digest_size=8).digest()


def version_digest(version: str | None) -> bytes:
    """Four bytes for a protocol version, zeros for none."""
    return hashlib.blake2b(version.encode(), digest_size=4).digest() if version is not None else bytes(4)


class NotifyShelves:
    """The Notify bindings of one upstream."""

    _WIDTH = 12 + 16 + 16 + 8 + 4

    def __init__(self) -> None:
        self._shelves = [bytearray() for _ in range(_SHELVES)]

    def put(self, binding: Binding) -> None:
        """Put one on its shelf."""
        self._shelves[binding.fingerprint[0]] += (
            binding.fingerprint + binding.sid.raw + binding.owner + binding.digest + binding.version
        )

    def take(self, number: int) -> dict[bytes, list[Binding]]:
        """Take what is on a shelf, by fingerprint; it is empty afterwards."""
        packed, self._shelves[number] = bytes(self._shelves[number]), bytearray()
        found: dict[bytes, list[Binding]] = {}
        for at in range(0, len(packed), self._WIDTH):
            b = packed[at : at + self._WIDTH]
            binding = Binding(b[:12], BindingSid.of(b[12:28]), b[28:44], b[44:52], b[52:])
            found.setdefault(binding.fingerprint, []).append(binding)
        return found


class Shelves:
    """Anything else that MessagePack can hold, by the first byte of a key."""

    def __init__(self) -> None:
        self._shelves = [bytearray() for _ in range(_SHELVES)]

    def put(self, key: bytes, thing: object) -> None:
        """Put one on its shelf."""
        packed = msgspec.msgpack.encode(thing)
        self._shelves[key[0]] += len(packed).to_bytes(4, "little") + packed

    def take(self) -> Iterator[list[bytes]]:
        """The shelves in turn, each with what was put there, packed; they are empty afterwards."""
        for number, shelf in enumerate(self._shelves):
            things, at = [], 0
            while at < len(shelf):
                length = int.from_bytes(shelf[at : at + 4], "little")
                things.append(bytes(shelf[at + 4 : at + 4 + length]))
                at += 4 + length
            self._shelves[number] = bytearray()
            if things:
                yield things
