"""Keyed fingerprints: what stands for identities, addresses and devices in keys, logs and URLs (contract 8).

Each is HMAC-SHA-256 (RFC 2104) under a key derived (HKDF, RFC 5869) from the deployment's secret, over a purpose,
the Service SID and the value, cut short. Whoever reads the store's keys without the secret can neither recover a
phone number nor test a guess.
"""

from __future__ import annotations

import hashlib
import hmac

from service.domain.macs import begin

_PURPOSES = (b"owner\0", b"address\0", b"device\0", b"session\0", b"endpoint\0", b"chat\0")

NO_DEVICE = bytes(12)
NO_LINK = bytes(12)
NO_SESSION = bytes(8)


def derive_key(secret: str, purpose: str) -> bytes:
    """A key of 32 bytes for one purpose, from the deployment's secret (HKDF with SHA-256, one block)."""
    extracted = hmac.digest(b"bindery", secret.encode(), hashlib.sha256)
    return hmac.digest(extracted, purpose.encode() + b"\x01", hashlib.sha256)


class Fingerprints:
    """The fingerprints of one Service."""

    __slots__ = ("_begun",)

    def __init__(self, key: bytes, service_sid: str) -> None:
        # Begun once for each purpose, and copied: half the time of beginning anew.
        self._begun = {p: begin(key, p + service_sid.encode()) for p in _PURPOSES}

    def _digest(self, purpose: bytes, *values: bytes) -> bytes:
        # All values but the last have a fixed length: no two different lists of values give the same message.
        mac = self._begun[purpose].copy()
        for value in values:
            mac.update(value)
        return mac.digest()

    def owner(self, identity: str) -> bytes:
        """16 bytes for an identity; in hex, its User SID."""
        return self._digest(b"owner\0", identity.encode())[:16]

    def address(self, canonical: str) -> bytes:
        """12 bytes for a canonical address, whatever its type: an address is unique in a Service."""
        return self._digest(b"address\0", canonical.encode())[:12]

    def device(self, device_id: str | None) -> bytes:
        """12 bytes for a device id, zeros for none."""
        return self._digest(b"device\0", device_id.encode())[:12] if device_id else NO_DEVICE

    def session(self, owner: bytes, session: str | None) -> bytes:
        """8 bytes for a session of an identity, zeros for none."""
        return self._digest(b"session\0", owner, session.encode())[:8] if session else NO_SESSION

    def endpoint(self, endpoint: str) -> bytes:
        """12 bytes for a Chat endpoint."""
        return self._digest(b"endpoint\0", endpoint.encode())[:12]

    def chat(self, owner: bytes, endpoint: str, type_code: int) -> bytes:
        """12 bytes for a Chat binding: unique by identity, endpoint and type."""
        return self._digest(b"chat\0", owner, bytes([type_code]), endpoint.encode())[:12]


def check_value(key: bytes) -> str:
    """What the store keeps to recognise the fingerprint key, without giving it away."""
    return hmac.digest(key, b"check", "sha256")[:8].hex()
