"""``/v1/registrations``: register a device, read what became of it, log it out, turn its push off."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import msgspec
from litestar import delete, get, post
from litestar.openapi import ResponseSpec
from litestar.params import FromPath

from service.api.access_log import traceparent_of
from service.api.answers import Answer
from service.api.app_tokens import App
from service.api.auth import Caller
from service.api.headers import joined
from service.api.native.bodies import NativeRequest, RegistrationBody, channel_flags, read_body
from service.api.native.callers import caller_of, service_of
from service.api.native.openapi import DEVICE_QUERY, SEEN_QUERY, SERVICE_QUERY, described
from service.api.native.query import device_of, seen_since_of
from service.api.urls import prefix
from service.domain import limits
from service.domain.errors import Forbidden, InvalidInput
from service.domain.record import Channel
from service.store.registrations import Outcome
from service.usecases import ending, registering
from service.usecases.service import Directory, Service
from service.usecases.views import PastRegistrationView, RegistrationState, RegistrationView
from service.usecases.waiting import WaitingRoom

_decoder = msgspec.json.Decoder(RegistrationBody)
_encode = msgspec.json.Encoder().encode
_WAIT = re.compile(r"wait\s*=\s*\"?(\d{1,4})\"?")

_ANSWERS = {
    200: ResponseSpec(RegistrationView, description="Nothing has changed", generate_examples=False),
    201: ResponseSpec(RegistrationView, description="Applied while waiting", generate_examples=False),
    202: ResponseSpec(
        RegistrationView | PastRegistrationView,
        description="On its way; or, after waiting, already superseded or removed",
        generate_examples=False,
    ),
}


@post(
    "/v1/registrations",
    operation_class=described(RegistrationBody, parameters=[SERVICE_QUERY], faults=[404, 409]),
    status_code=202,
    responses=_ANSWERS,
)
async def create(request: NativeRequest) -> Answer:
    """Register an address for an identity.

    200 if nothing changed, 202 if the change is on its way; with ``Prefer: wait=N`` (at most 10 seconds) 201 once it
    is applied.
    """
    caller = caller_of(request)
    body = await read_body(request, _decoder)
    found = service_of(request, body.service)
    wait = _wait(joined(request.scope, b"prefer"))
    outcome, view = await registering.register(
        found, _request(caller, body, found), traceparent=traceparent_of(request)
    )
    directory: Directory = request.app.state.directory
    location = f"{prefix(request)}/v1/registrations/{view.id}{directory.query_of(found)}"
    headers = [(b"location", location.encode())]
    shown: RegistrationView | PastRegistrationView = view
    if wait is not None:
        room: WaitingRoom = request.app.state.waiting_room
        waited = view if outcome is Outcome.UNCHANGED or not wait else await room.applied(found, view, wait)
        if waited is not None:
            shown = waited
            headers.append((b"preference-applied", b"wait=%d" % wait))
    return Answer(_encode(shown), _status(outcome, shown, wait), headers=headers)


def _status(outcome: Outcome, view: RegistrationView | PastRegistrationView, wait: int | None) -> int:
    if outcome is Outcome.UNCHANGED:
        return 200
    if wait and view.state is RegistrationState.APPLIED:
        return 201 if outcome is Outcome.ACCEPTED else 200
    return 202


def _wait(prefer: str | None) -> int | None:
    """Seconds to wait (RFC 7240); a preference that we cannot honour is as if it had not been stated."""
    if prefer is None:
        return None
    for preference in prefer.split(","):
        if found := _WAIT.fullmatch(preference.partition(";")[0].strip().lower()):
            seconds = int(found[1])
            return seconds if seconds <= limits.WAIT_SECONDS else None
    return None


def _request(caller: Caller, body: RegistrationBody, service: Service) -> registering.Request:
    identity, session, issued_at = body.identity, body.session, None
    if isinstance(caller, App):
        _check_app(caller, body, service)
        identity, session, issued_at = caller.identity, caller.session, caller.issued_at
    if identity is None:
        raise InvalidInput("identity", "is required of a server")
    channels, chat = channel_flags(body.channels), body.chat
    if chat is not None and Channel.CHAT not in channels:
        raise InvalidInput("chat", "needs the chat channel")
    return registering.Request(
        identity=identity,
        kind=body.binding_type,
        address=body.address,
        device_id=body.device_id,
        tags=body.tags,
        credential_sid=body.credential_sid,
        protocol_version=body.notification_protocol_version,
        channels=channels,
        endpoint=chat.endpoint if chat else None,
        message_types=chat.message_types if chat else None,
        session=session,
        issued_at=issued_at,
    )


def _check_app(app: App, body: RegistrationBody, service: Service) -> None:
    if body.identity is not None and body.identity != app.identity:
        raise Forbidden("An app registers for the identity of its token")
    if body.session is not None and body.session != app.session:
        raise Forbidden("An app registers under the session of its token")
    if not body.binding_type.push:
        raise Forbidden("Only servers register messaging addresses")
    for tag in body.tags:
        if not any(_matches(tag, pattern) for pattern in service.config.app_tags):
            raise Forbidden("tags: only servers may set some of these tags")


def _matches(tag: str, pattern: str) -> bool:
    # Patterns know * and ? only, fnmatch knows [...] too.
    return fnmatchcase(tag, pattern.replace("[", "[[]"))


@get("/v1/registrations/{registration_id:str}", operation_class=described(parameters=[SERVICE_QUERY], faults=[404]))
async def read(request: NativeRequest, registration_id: FromPath[str]) -> RegistrationView | PastRegistrationView:
    """Read a registration: an app its own, a server any."""
    caller_of(request)
    found = service_of(request)
    return await registering.find(found, registration_id, _owner(request, found))


@delete("/v1/registrations", operation_class=described(parameters=[DEVICE_QUERY, SERVICE_QUERY], faults=[404]))
async def delete_by_device(request: NativeRequest) -> None:
    """Log a device out: the app's own logout. Idempotent; fences what the device was registered with."""
    caller = caller_of(request)
    device_id = device_of(request)
    found = service_of(request, parameters=("device_id",))
    if not isinstance(caller, App):
        raise Forbidden("Servers log devices out with POST /v1/logouts")
    await ending.log_out_device(
        found, caller.identity, device_id, session=caller.session, traceparent=traceparent_of(request)
    )


@delete(
    "/v1/registrations/{registration_id:str}",
    operation_class=described(parameters=[SEEN_QUERY, SERVICE_QUERY], faults=[404, 412]),
)
async def delete_by_id(request: NativeRequest, registration_id: FromPath[str]) -> None:
    """Turn push off for one registration. Idempotent; not a logout, so that it may register again at once.

    Who was told by a provider that the address is dead names the time of that: 412 if its device has registered since,
    or may have.
    """
    caller_of(request)
    found = service_of(request, parameters=("unless_seen_since",))
    since, traceparent = seen_since_of(request), traceparent_of(request)
    await ending.turn_off(
        found, registration_id, _owner(request, found), unless_seen_since=since, traceparent=traceparent
    )


def _owner(request: NativeRequest, service: Service) -> bytes | None:
    caller = caller_of(request)
    return service.fingerprints.owner(caller.identity) if isinstance(caller, App) else None
