"""Lookups, for senders: which registrations identities have, desired state at once."""

from __future__ import annotations

import msgspec
from litestar import get, post

from service.api.native.bodies import LookupBody, NativeRequest, read_body
from service.api.native.callers import caller_of, server_only, service_of
from service.api.native.openapi import IDENTITY_PATH, SERVICE_QUERY, described
from service.api.native.query import identity_of
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


@get(
    "/v1/identities/{identity:str}/bindings",
    operation_class=described(parameters=[IDENTITY_PATH, SERVICE_QUERY], faults=[403, 404]),
)
async def list_bindings(request: NativeRequest) -> IdentityBindings:
    """Look up one identity."""
    return await _look_up_one(request)


@get("/v1/identities/{rest:path}", include_in_schema=False)
async def list_bindings_of_any(request: NativeRequest) -> IdentityBindings:
    """The same, for identities with a slash in them: this route gets every path, the other one documents it."""
    return await _look_up_one(request)


@post("/v1/lookups", operation_class=described(LookupBody, parameters=[SERVICE_QUERY], faults=[404]), status_code=200)
async def look_up_many(request: NativeRequest) -> Lookup:
    """Look up many identities in one round trip to the store."""
    server_only(request)
    body = await read_body(request, _decoder)
    return await _look_up(request, body.identities, body.service)


async def _look_up_one(request: NativeRequest) -> IdentityBindings:
    caller_of(request)
    identity = identity_of(request)
    server_only(request)
    return (await _look_up(request, (identity,), None)).identities[0]


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
