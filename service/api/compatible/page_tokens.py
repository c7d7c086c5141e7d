"""Page tokens: where a page of one certain list starts, signed, so that nobody but us can say it.

A token is the direction (1 byte: on, back, or on at an upstream) and the fingerprint next to which the page starts, or
the upstream's query, then 16 bytes of HMAC-SHA-256 over them and over what names the list: its kind, Service, user and
filters. So a token is good for its own list only.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache

import msgspec

from service.domain.errors import BadPageToken
from service.domain.fingerprints import derive_key
from service.usecases.paging import Position

_MAC = 16
_LONGEST = 2048
_THERE = 2


class ListName(msgspec.Struct, frozen=True, array_like=True):
    """Which list a token is for. Filters that came in another order, or twice, name the same list."""

    kind: str
    service_sid: str
    user: str
    filters: tuple[tuple[str, str], ...]

    def encoded(self) -> bytes:
        """What is signed."""
        return msgspec.msgpack.encode((self.kind, self.service_sid, self.user, sorted(set(self.filters))))


def _encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


class PageTokens:
    """Makes and reads the tokens of a deployment."""

    def __init__(self, secret_key: str) -> None:
        self._key = derive_key(secret_key, "page tokens")

    def make(self, name: ListName, position: Position) -> str:
        """The token of a page of this list."""
        start = position.there.encode() or position.fingerprint
        payload = bytes([_THERE if position.there else position.backwards]) + start
        return _encoded(payload + self._mac(name, payload))

    def read(self, name: ListName, token: str) -> Position:
        """Where the page of this token starts.

        Raises:
            BadPageToken: it is not one of ours, or one for another list.
        """
        if len(token) > _LONGEST or not token.isascii():
            raise BadPageToken
        try:
            raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except (binascii.Error, ValueError):
            raise BadPageToken from None
        if _encoded(raw) != token:
            # One position has one token: Base64 has spare bits, and its decoder skips what it doesn't know.
            raise BadPageToken
        payload, mac = raw[:-_MAC], raw[-_MAC:]
        if not payload or not hmac.compare_digest(mac, self._mac(name, payload)):
            raise BadPageToken
        if payload[0] == _THERE:
            return Position(there=payload[1:].decode())
        return Position(payload[1:], backwards=bool(payload[0]))

    def _mac(self, name: ListName, payload: bytes) -> bytes:
        # The payload goes last and the name delimits itself, so that no two pairs make one message.
        return hmac.digest(self._key, name.encoded() + payload, "sha256")[:_MAC]


@lru_cache(maxsize=4)
def page_tokens(secret_key: str) -> PageTokens:
    """The tokens of a deployment with this secret."""
    return PageTokens(secret_key)
