"""The devices that the benchmarks register: the same ones for every run, found again by their number."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import blake2b
from uuid import UUID

import msgspec

from service.domain.addresses import BindingType
from service.usecases.registering import Request

FCM_SHORTEST, FCM_LONGEST = 142, 163
"""Characters of an FCM registration token."""


class Device(msgspec.Struct, frozen=True):
    """One app installation: identity and device id are UUIDs, the address looks like its provider's."""

    identity: str
    device_id: str
    kind: BindingType
    address: str

    def request(self) -> Request:
        """Its registration in the words of the use cases."""
        return Request(identity=self.identity, kind=self.kind, address=self.address, device_id=self.device_id)


def device(label: str, number: int, kind: BindingType = BindingType.APN) -> Device:
    """The device of this label and number."""
    raw = blake2b(f"{label}:{number}".encode()).digest()
    address = raw[32:].hex() if kind is BindingType.APN else _fcm(raw)
    return Device(str(UUID(bytes=raw[:16])), str(UUID(bytes=raw[16:32])), kind, address)


def devices(label: str, count: int, first: int = 0, kind: BindingType = BindingType.APN) -> list[Device]:
    """``count`` devices of a label, from ``first`` on."""
    return [device(label, number, kind) for number in range(first, first + count)]


def _fcm(raw: bytes) -> str:
    # An instance id, a colon, and the rest: base64url, of evenly spread length.
    length = FCM_SHORTEST + raw[0] % (FCM_LONGEST - FCM_SHORTEST + 1)
    text = urlsafe_b64encode(raw[32:] + blake2b(raw).digest() + raw).decode().rstrip("=")
    return f"{text[:22]}:APA91b{text[22:]}"[:length]
