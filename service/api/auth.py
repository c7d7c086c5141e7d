"""Who is calling: an app with its identity's token, or a server with the account's token or an API key.

Apps: Bearer (RFC 6750). Servers: HTTP Basic (RFC 7617), the same on native and compatible routes.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode
from hashlib import blake2b

import msgspec
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler

from service.api.app_tokens import App, AppTokens
from service.api.headers import header
from service.domain.errors import Unauthenticated
from service.settings import Settings
from service.usecases.service import Service

AnyConnection = ASGIConnection[BaseRouteHandler, object, object, State]


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
        self._tokens = AppTokens(settings.jwt_secrets, settings.jwt_max_ttl)

    def caller(self, authorization: str | None) -> Caller:
        """The caller of an Authorization header.

        Raises:
            Unauthenticated: none, or one that does not hold.
        """
        scheme, _, credentials = (authorization or "").partition(" ")
        match scheme.lower():
            case "basic":
                return self._server(credentials.strip())
            case "bearer":
                return self._tokens.app(credentials.strip())
        raise Unauthenticated

    def server(self, authorization: str | None) -> Server:
        """The server of an Authorization header; apps are refused like strangers."""
        scheme, _, credentials = (authorization or "").partition(" ")
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
