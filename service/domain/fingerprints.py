"""Keyed fingerprints: what stands for identities, addresses and devices in keys, logs and URLs (contract 8).

Each is HMAC-SHA-256 (RFC 2104) under a key derived (HKDF, RFC 5869) from the deployment's secret, over a purpose,
the Service SID and the value, cut short. Whoever reads the store's keys without the secret can neither recover a
phone number nor test a guess.
"""

from __future__ import annotations

import hashlib
import hmac

NO_DEVICE = bytes(12)
NO_LINK = bytes(12)
NO_SESSION = bytes(8)


def derive_key(secret: str, purpose: str) -> bytes:
    """A key of 32 bytes for one purpose, from the deployment's secret (HKDF with SHA-256, one block)."""
    extracted = hmac.digest(b"bindery", secret.encode(), hashlib.sha256)
    return hmac.digest(extracted, purpose.encode() + b"\x01", hashlib.sha256)


class Fingerprints:
    """The fingerprints of one Service."""

    __slots__ = ("_key", "_service")

    def __init__(self, key: bytes, service_sid: str) -> None:
        self._key = key
        self._service = service_sid.encode()

    def _digest(self, purpose: bytes, *values: bytes) -> bytes:
        # Lengths in front of the values: no two different lists of values give the same message.
        message = b"".join([purpose, self._service, *(len(v).to_bytes(2) + v for v in values)])
        return hmac.digest(self._key, message, "sha256")

    def owner(self, identity: str) -> bytes:
        """16 bytes for an identity; in hex, its User SID."""
        return self._digest(b"owner", identity.encode())[:16]

    def address(self, canonical: str) -> bytes:
        """12 bytes for a canonical address, whatever its type: an address is unique in a Service."""
        return self._digest(b"address", canonical.encode())[:12]

    def device(self, device_id: str | None) -> bytes:
        """12 bytes for a device id, zeros for none."""
        return self._digest(b"device", device_id.encode())[:12] if device_id else NO_DEVICE

    def session(self, owner: bytes, session: str | None) -> bytes:
        """8 bytes for a session of an identity, zeros for none."""
        return self._digest(b"session", owner, session.encode())[:8] if session else NO_SESSION

    def endpoint(self, endpoint: str) -> bytes:
        """12 bytes for a Chat endpoint."""
        return self._digest(b"endpoint", endpoint.encode())[:12]

    def chat(self, owner: bytes, endpoint: str, type_code: int) -> bytes:
        """12 bytes for a Chat binding: unique by identity, endpoint and type."""
        return self._digest(b"chat", owner, endpoint.encode(), bytes([type_code]))[:12]


def check_value(key: bytes) -> str:
    """What the store keeps to recognise the fingerprint key, without giving it away."""
    return hmac.digest(key, b"check", "sha256")[:8].hex()
