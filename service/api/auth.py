"""Who is calling: an app with its identity's token, or a server with the account's token or an API key.

Apps: Bearer JWT, HS256 (RFC 7519). Servers: HTTP Basic (RFC 7617), the same on native and compatible routes.
"""

from __future__ import annotations

import binascii
import hmac
import time
from base64 import b64decode
from hashlib import blake2b
from typing import TypeGuard

import jwt
import msgspec
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler

from service.api.headers import header
from service.domain.errors import Unauthenticated
from service.domain.limits import CLOCK_LEEWAY, IDENTITY_LENGTH, SESSION_LENGTH
from service.settings import Settings
from service.usecases.service import Service

_REMEMBERED = 20_000
"""Tokens whose check is remembered, by their digest, until they expire: about 10 MB."""

AnyConnection = ASGIConnection[BaseRouteHandler, object, object, State]


class App(msgspec.Struct, frozen=True):
    """An app, acting for the identity of its token."""

    identity: str
    session: str | None
    issued_at: int
    issuer: str | None
    audience: tuple[str, ...]


class Server(msgspec.Struct, frozen=True):
    """A back end, acting for any identity. ``name`` is its account or key SID."""

    name: str


Caller = App | Server


class Authenticator:
    """Checks credentials against the settings; both of two rotating secrets hold."""

    def __init__(self, settings: Settings) -> None:
        self.account_sid = settings.account_sid
        self._passwords: dict[bytes, list[bytes]] = {}
        for token in settings.auth_tokens:
            self._passwords.setdefault(settings.account_sid.encode(), []).append(_digest(token.encode()))
        for key in settings.api_keys:
            self._passwords.setdefault(key.sid.encode(), []).append(_digest(key.secret.encode()))
        self._secrets = settings.jwt_secrets
        self._max_ttl = settings.jwt_max_ttl
        # Checking a token costs a third of an unchanged registration; an app comes with the same one for an hour.
        self._verified: dict[bytes, tuple[App, float]] = {}

    def caller(self, header: str | None) -> Caller:
        """The caller of an Authorization header.

        Raises:
            Unauthenticated: none, or one that does not hold.
        """
        scheme, _, credentials = (header or "").partition(" ")
        match scheme.lower():
            case "basic":
                return self._server(credentials.strip())
            case "bearer":
                return self._app(credentials.strip())
        raise Unauthenticated

    def server(self, header: str | None) -> Server:
        """The server of an Authorization header; apps are refused like strangers."""
        scheme, _, credentials = (header or "").partition(" ")
        if scheme.lower() != "basic":
            raise Unauthenticated
        return self._server(credentials.strip())

    def _server(self, credentials: str) -> Server:
        try:
            name, _, password = b64decode(credentials, validate=True).partition(b":")
        except (binascii.Error, ValueError):
            raise Unauthenticated from None
        given = _digest(password)
        # Every candidate is compared, so that time does not tell which secret was nearly right.
        holds = [hmac.compare_digest(given, kept) for kept in self._passwords.get(name, ())]
        if not any(holds):
            raise Unauthenticated
        return Server(name.decode())

    def _app(self, token: str) -> App:
        digest = _digest(token.encode())
        remembered = self._verified.get(digest)
        if remembered is not None:
            app, expires = remembered
            if time.time() < expires + CLOCK_LEEWAY:
                return app
            del self._verified[digest]
        app, expires = self._verify(token)
        if len(self._verified) >= _REMEMBERED:
            del self._verified[next(iter(self._verified))]
        self._verified[digest] = app, expires
        return app

    def _verify(self, token: str) -> tuple[App, float]:
        claims = None
        for secret in self._secrets:
            try:
                claims = jwt.decode(
                    token,
                    secret,
                    algorithms=["HS256"],
                    leeway=CLOCK_LEEWAY,
                    options={"require": ["sub", "iat", "exp"], "verify_aud": False},
                )
                break
            except (jwt.InvalidTokenError, ValueError):
                continue
        if claims is None:
            raise Unauthenticated
        return self._claimed(claims)

    def _claimed(self, claims: dict[str, object]) -> tuple[App, float]:
        identity, session = claims["sub"], claims.get("sid")
        issued_at, expires = claims["iat"], claims["exp"]
        if not _is_name(identity, IDENTITY_LENGTH):
            raise Unauthenticated("The token's sub is not an identity")
        if session is not None and not _is_name(session, SESSION_LENGTH):
            raise Unauthenticated("The token's sid is not a session")
        if not isinstance(issued_at, int | float) or not isinstance(expires, int | float):
            raise Unauthenticated("The token's times are not numbers")
        if not 0 <= issued_at < 2**32 or expires - issued_at > self._max_ttl:
            raise Unauthenticated(f"The token lives longer than {self._max_ttl} seconds")
        issuer, audience = claims.get("iss"), claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        app = App(
            identity=identity,
            session=session,
            issued_at=int(issued_at),
            issuer=issuer if isinstance(issuer, str) else None,
            audience=tuple(a for a in audiences if isinstance(a, str)),
        )
        return app, float(expires)


def _is_name(claim: object, longest: int) -> TypeGuard[str]:
    """Whether a claim can be an identity or a session. JSON can spell what UTF-8 cannot: half a surrogate pair."""
    if not isinstance(claim, str) or not 0 < len(claim) <= longest or "\0" in claim:
        return False
    try:
        claim.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_scope(app: App, service: Service) -> None:
    """Refuse a token that was not made for this Service.

    Raises:
        Unauthenticated: another issuer or audience than the Service's.
    """
    config = service.config
    if config.jwt_issuer is not None and app.issuer != config.jwt_issuer:
        raise Unauthenticated("The token's iss is not this Service's")
    if config.jwt_audience is not None and config.jwt_audience not in app.audience:
        raise Unauthenticated("The token's aud is not this Service's")


async def server_authenticated(connection: AnyConnection, _: BaseRouteHandler) -> None:
    """Guard: a server."""
    authenticator: Authenticator = connection.app.state.authenticator
    connection.scope["state"]["caller"] = authenticator.server(header(connection.scope, b"authorization"))


def _digest(secret: bytes) -> bytes:
    return blake2b(secret, digest_size=32).digest()
