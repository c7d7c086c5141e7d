"""Lookups, for senders: which registrations identities have, desired state at once."""

from __future__ import annotations

import msgspec
from litestar import get, post
from litestar.params import FromPath

from service.api.auth import authenticated
from service.api.native.bodies import LookupBody, NativeRequest, read_body
from service.api.native.callers import server_only, service_of
from service.api.native.openapi import described
from service.api.native.registrations import ServiceQuery
from service.domain import limits
from service.domain.errors import InvalidInput
from service.domain.sids import user_sid
from service.usecases.looking_up import look_up
from service.usecases.registering import check_identity
from service.usecases.views import RegistrationView

_decoder = msgspec.json.Decoder(LookupBody)


class IdentityBindings(msgspec.Struct, frozen=True, kw_only=True):
    """An identity's registrations."""

    identity: str
    user_sid: str
    bindings: list[RegistrationView]


class Lookup(msgspec.Struct, frozen=True):
    """The registrations of several identities, in the order asked for."""

    identities: list[IdentityBindings]


@get("/v1/identities/{identity:str}/bindings", guards=[authenticated])
async def list_bindings(
    request: NativeRequest, identity: FromPath[str], service: ServiceQuery = None
) -> IdentityBindings:
    """Look up one identity."""
    server_only(request)
    if len(identity) > limits.IDENTITY_LENGTH or "\0" in identity:
        raise InvalidInput("identity", f"must have at most {limits.IDENTITY_LENGTH} characters, none of them NUL")
    return (await _look_up(request, (identity,), service)).identities[0]


@post("/v1/lookups", guards=[authenticated], operation_class=described(LookupBody), status_code=200)
async def look_up_many(request: NativeRequest, service: ServiceQuery = None) -> Lookup:
    """Look up many identities in one round trip to the store."""
    server_only(request)
    body = await read_body(request, _decoder)
    return await _look_up(request, body.identities, body.service or service)


async def _look_up(request: NativeRequest, identities: tuple[str, ...], name: str | None) -> Lookup:
    service = service_of(request, name)
    for identity in identities:
        check_identity(identity)
    found = await look_up(service, identities)
    owner = service.fingerprints.owner
    return Lookup(
        [
            IdentityBindings(identity=identity, user_sid=user_sid(owner(identity)), bindings=bindings)
            for identity, bindings in zip(identities, found, strict=True)
        ]
    )
