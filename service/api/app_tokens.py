"""An app's token: a JWT (RFC 7519) signed with HS256 (RFC 7515, RFC 7518), made by the app's own back end at login.

Own code instead of a library's: a login comes with a token never seen before, and PyJWT took a fifth of the API's time
for a new registration. A test holds it to PyJWT's verdicts.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
import time
from collections import OrderedDict
from typing import TypeGuard

import msgspec

from service.domain.errors import Unauthenticated
from service.domain.limits import CLOCK_LEEWAY, IDENTITY_LENGTH, SESSION_LENGTH
from service.domain.macs import Mac, begin
from service.telemetry.catalogue import CACHE_LOOKUPS

_REMEMBERED = 20_000
"""Tokens whose check is remembered, by their digest, until they expire: about 10 MB."""

_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


class App(msgspec.Struct, frozen=True):
    """An app, acting for the identity of its token."""

    identity: str
    session: str | None
    issued_at: int
    issuer: str | None
    audience: tuple[str, ...]


class _Header(msgspec.Struct):
    """What of a JOSE header (RFC 7515, 4) decides anything. Extensions that must be understood are not."""

    alg: str
    kid: str | None = None
    crit: object = None
    b64: object = None


class _Claims(msgspec.Struct):
    """Registered claims (RFC 7519, 4.1) and ``sid`` (OpenID Connect Front-Channel Logout), of whatever type."""

    sub: object = None
    sid: object = None
    iat: object = None
    exp: object = None
    nbf: object = 0
    jti: object = ""
    iss: object = None
    aud: object = None


_hits, _misses = (CACHE_LOOKUPS.labels("app_tokens", result) for result in ("hit", "miss"))
_read_header = msgspec.json.Decoder(_Header).decode
_read_claims = msgspec.json.Decoder(_Claims).decode


class AppTokens:
    """Checks apps' tokens against secrets, either of which may have signed them. ``max_ttl`` is in seconds."""

    def __init__(self, secrets: tuple[str, ...], max_ttl: int) -> None:
        # Begun once and copied: half the time of beginning anew.
        self._begun = [begin(secret.encode()) for secret in secrets]
        self._max_ttl = max_ttl
        # An app comes with the same token for an hour: at every start, until the next login.
        self._verified: OrderedDict[bytes, tuple[App, float]] = OrderedDict()

    def app(self, token: str) -> App:
        """The app that a token speaks for.

        Raises:
            Unauthenticated: it does not hold, or it lives longer than it may.
        """
        digest = hashlib.blake2b(token.encode(), digest_size=32).digest()
        remembered = self._verified.get(digest)
        if remembered is not None:
            app, expires = remembered
            if time.time() < expires + CLOCK_LEEWAY:
                _hits.inc()
                return app
            del self._verified[digest]
        _misses.inc()
        app, expires = self._claimed(self._verify(token))
        if len(self._verified) >= _REMEMBERED:
            self._verified.popitem(last=False)
        self._verified[digest] = app, expires
        return app

    def _verify(self, token: str) -> _Claims:
        parts = _COMPACT.fullmatch(token)
        if parts is None:
            raise Unauthenticated
        try:
            header, signature = _read_header(_decode(parts[1])), _decode(parts[3])
            if header.alg != "HS256" or header.crit is not None or header.b64 is not None:
                raise Unauthenticated
            signed = token[: parts.end(2)].encode()
            # Every secret is tried, so that time does not tell which one holds.
            holds = [hmac.compare_digest(_mac(begun, signed), signature) for begun in self._begun]
            if not any(holds):
                raise Unauthenticated
            return _read_claims(_decode(parts[2]))
        except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # Its text may quote the token.
            raise Unauthenticated from None

    def _claimed(self, claims: _Claims) -> tuple[App, float]:
        identity, session, issued_at, expires = claims.sub, claims.sid, claims.iat, claims.exp
        if not _is_name(identity, IDENTITY_LENGTH):
            raise Unauthenticated("The token's sub is not an identity")
        if session is not None and not _is_name(session, SESSION_LENGTH):
            raise Unauthenticated("The token's sid is not a session")
        if not _is_time(issued_at) or not _is_time(expires) or not _is_time(claims.nbf):
            raise Unauthenticated("The token's times are not numbers")
        if not isinstance(claims.jti, str):
            raise Unauthenticated("The token's jti is not a string")
        if not 0 <= issued_at < 2**32:
            raise Unauthenticated("The token's iat is out of range")
        if expires - issued_at > self._max_ttl:
            raise Unauthenticated(f"The token lives longer than {self._max_ttl} seconds")
        now = time.time()
        if max(int(issued_at), claims.nbf) > now + CLOCK_LEEWAY:
            raise Unauthenticated("The token's iat or nbf is in the future")
        if int(expires) <= now - CLOCK_LEEWAY:
            raise Unauthenticated("The token's exp has passed")
        audience = claims.aud
        audiences = audience if isinstance(audience, list) else [audience]
        app = App(
            identity=identity,
            session=session,
            issued_at=int(issued_at),
            issuer=claims.iss if isinstance(claims.iss, str) else None,
            audience=tuple(a for a in audiences if isinstance(a, str)),
        )
        return app, float(expires)


def _mac(begun: Mac, message: bytes) -> bytes:
    mac = begun.copy()
    mac.update(message)
    return mac.digest()


def _decode(segment: str) -> bytes:
    standard = segment.encode().translate(_URL_SAFE)
    return binascii.a2b_base64(standard + b"=" * (-len(standard) % 4), strict_mode=True)


def _is_time(claim: object) -> TypeGuard[int | float]:
    """Whether a claim is a NumericDate (RFC 7519, 2)."""
    return isinstance(claim, int | float) and not isinstance(claim, bool)


def _is_name(claim: object, longest: int) -> TypeGuard[str]:
    """Whether a claim can be an identity or a session."""
    return isinstance(claim, str) and 0 < len(claim) <= longest and "\0" not in claim
