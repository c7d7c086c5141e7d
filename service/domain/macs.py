"""HMAC-SHA-256 (RFC 2104), begun once under a key, and copied for each message."""

from __future__ import annotations

from typing import Protocol

try:
    # What hmac.new wraps in Python: 0.8 instead of 2.1 µs for each message, of which a registration has five.
    from _hashlib import hmac_new as _new
except ImportError:  # a Python without OpenSSL
    from hmac import new as _new  # type: ignore[assignment]


class Mac(Protocol):
    """What has been fed some of a message."""

    def copy(self) -> Mac:
        """Another one that has been fed the same."""
        ...

    def update(self, msg: bytes, /) -> None:
        """Feed it more."""
        ...

    def digest(self) -> bytes:
        """32 bytes for the message."""
        ...


def begin(key: bytes, message: bytes = b"") -> Mac:
    """One that has been fed ``message``."""
    mac: Mac = _new(key, message, "sha256")
    return mac
