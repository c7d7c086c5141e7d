"""Lookups, for senders: which registrations identities have, desired state at once."""

from __future__ import annotations

import msgspec
from litestar import get, post
from litestar.openapi import ResponseSpec

from service.api.answers import Answer
from service.api.native.bodies import LookupBody, NativeRequest, read_body
from service.api.native.callers import caller_of, server_only, service_of
from service.api.native.openapi import IDENTITY_PATH, SERVICE_QUERY, described
from service.api.native.query import identity_of
from service.usecases.looking_up import check_named, look_up
from service.usecases.views import RegistrationView

_decoder = msgspec.json.Decoder(LookupBody)
_encode = msgspec.json.Encoder().encode


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
    responses={200: ResponseSpec(IdentityBindings, description="Its registrations", generate_examples=False)},
)
async def list_bindings(request: NativeRequest) -> Answer:
    """Look up one identity."""
    return await _look_up_one(request)


@get("/v1/identities/{rest:path}", include_in_schema=False)
async def list_bindings_of_any(request: NativeRequest) -> Answer:
    """The same, for identities with a slash in them: this route gets every path, the other one documents it."""
    return await _look_up_one(request)


@post(
    "/v1/lookups",
    operation_class=described(LookupBody, parameters=[SERVICE_QUERY], faults=[404]),
    status_code=200,
    responses={200: ResponseSpec(Lookup, description="Their registrations", generate_examples=False)},
)
async def look_up_many(request: NativeRequest) -> Answer:
    """Look up many identities in one round trip to the store."""
    server_only(request)
    body = await read_body(request, _decoder)
    return Answer(_encode(Lookup(await _look_up(request, body.identities, body.service))))


async def _look_up_one(request: NativeRequest) -> Answer:
    caller_of(request)
    identity = identity_of(request)
    server_only(request)
    (found,) = await _look_up(request, (identity,), None)
    return Answer(_encode(found))


async def _look_up(request: NativeRequest, identities: tuple[str, ...], name: str | None) -> list[IdentityBindings]:
    service = service_of(request, name)
    await check_named(service, identities)
    found = await look_up(service, identities)
    return [
        IdentityBindings(identity=identity, user_sid=user_sid, bindings=bindings)
        for identity, (user_sid, bindings) in zip(identities, found, strict=True)
    ]
