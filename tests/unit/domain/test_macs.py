"""HMAC-SHA-256, by whatever this Python has for it."""

import hashlib
import hmac

from service.domain.macs import begin


def test_it_is_what_the_standard_library_computes() -> None:
    """Fingerprints are kept in stores, and tokens come from elsewhere: the result must be exactly that of RFC 2104."""
    begun = begin(b"key", b"begun ")
    for message in (b"", b"message", b"m" * 1000):
        mac = begun.copy()
        mac.update(message)
        assert mac.digest() == hmac.digest(b"key", b"begun " + message, hashlib.sha256)
