"""Registering: from what a caller asks for to the desired state, and on to the moment it is applied."""

from __future__ import annotations

import msgspec

from service.domain import limits
from service.domain.addresses import BindingType, canonical, check_form
from service.domain.errors import InvalidInput, NotFound
from service.domain.record import Attributes, Channel, Extras, Record
from service.domain.sids import RegistrationId, is_sid
from service.store.registrations import Outcome, Wanted
from service.usecases.service import Service
from service.usecases.views import (
    PastRegistrationView,
    PastState,
    RegistrationView,
    past_view,
    view,
)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A registration in the caller's words. Lengths and types have been checked; meanings have not."""

    identity: str
    kind: BindingType
    address: str
    device_id: str | None = None
    tags: tuple[str, ...] = ()
    credential_sid: str | None = None
    protocol_version: str | None = None
    channels: Channel = Channel.NOTIFY
    endpoint: str | None = None
    message_types: tuple[str, ...] | None = None
    session: str | None = None
    issued_at: int | None = None


def check_identity(identity: str, field: str = "identity") -> None:
    """Refuse an identity that could not be told from a User SID."""
    if is_sid("US", identity):
        raise InvalidInput(field, "must not have the form of a User SID")


def wanted(service: Service, request: Request) -> Wanted:
    """The desired state that a request asks for, canonical and complete with the Service's defaults.

    Raises:
        InvalidInput: the address is not one of its type, or two fields contradict each other.
    """
    check_identity(request.identity)
    address = canonical(request.kind, request.address)
    check_form(request.kind, address)
    if request.credential_sid is not None and not is_sid("CR", request.credential_sid):
        raise InvalidInput("credential_sid", "must be CR followed by 32 hex digits")
    chat = Channel.CHAT in request.channels
    if chat and not request.kind.push:
        raise InvalidInput("channels", "chat is for apn, fcm and gcm only")
    endpoint = request.endpoint
    if chat and endpoint is None:
        endpoint = _default_endpoint(service, request, address)
    # None stands for all, and an empty list for none.
    message_types = None if request.message_types is None else tuple(dict.fromkeys(request.message_types))
    version = request.protocol_version
    if version is None:
        version = service.config.protocol_versions.get(request.kind.value)
    return Wanted(
        kind=request.kind,
        address=address,
        attributes=Attributes(
            identity=request.identity,
            tags=tuple(dict.fromkeys(request.tags)),
            credential_sid=request.credential_sid,
            protocol_version=version,
        ),
        extras=Extras(
            device_id=request.device_id,
            endpoint=endpoint if chat else None,
            message_types=message_types if chat else None,
        ),
        channels=request.channels,
        session=request.session,
        issued_at=request.issued_at,
    )


def _default_endpoint(service: Service, request: Request, address: str) -> str:
    # Made from the identity and the device, without giving the device id away to whoever lists endpoints.
    prints = service.fingerprints
    device = prints.device(request.device_id) if request.device_id else prints.address(address)
    return f"{request.identity[: limits.ENDPOINT_LENGTH - 25]}:{device.hex()}"


async def register(
    service: Service, request: Request, *, traceparent: str | None = None
) -> tuple[Outcome, RegistrationView]:
    """Make the request the desired state.

    Raises:
        InvalidInput, Unauthenticated, SessionEnded, CapReached, StoreUnavailable, StoreFull
    """
    done = await service.registrations.register(wanted(service, request))
    service.wake(done.wake, traceparent)
    return done.outcome, view(service.sid, done.record, service.own_chat(done.chat))


async def _chat_of(service: Service, record: Record) -> Record | None:
    return await service.reading.chat_binding(record.link) if record.channels & Channel.CHAT else None


async def find(service: Service, id_text: str, owner: bytes | None = None) -> RegistrationView | PastRegistrationView:
    """The registration of an id, for a server, or for the app of ``owner`` if it is its own.

    Raises:
        NotFound: there is none, or it is another identity's.
    """
    id_ = RegistrationId.parse(id_text)
    record = await service.reading.registration(id_.fingerprint) if id_ else None
    if id_ is None or record is None or id_.generation > record.generation:
        raise NotFound
    if owner is not None and record.owner != owner:
        raise NotFound
    if id_.generation < record.generation:
        return past_view(service.sid, id_, PastState.SUPERSEDED)
    if not record.channels:
        return past_view(service.sid, id_, PastState.REMOVED)
    return view(service.sid, record, service.own_chat(await _chat_of(service, record)))
