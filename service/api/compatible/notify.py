"""Notify v1 Bindings. Source: the Notify API's Binding reference."""

from __future__ import annotations

from litestar import delete, get, post

from service.api import urls
from service.api.access_log import traceparent_of
from service.api.answers import Answer
from service.api.compatible import parameters
from service.api.compatible.answers import answer
from service.api.compatible.forms import CompatibleRequest, read_form, read_query
from service.api.compatible.listing import listing
from service.api.compatible.resources import NotifyBindingResource, notify_binding
from service.domain import limits
from service.domain.errors import NotFound
from service.usecases import notify_bindings
from service.usecases.notify_bindings import Filter, NotifyBinding
from service.usecases.service import Directory, Service

_LIST = "/v1/Services/{service_sid:str}/Bindings"
_ONE = "/v1/Services/{service_sid:str}/Bindings/{sid:str}"
_LONGEST_PAGE = 1000
_FILTERS = ("StartDate", "EndDate", "Tag", "Identity")


def _service(request: CompatibleRequest) -> Service:
    directory: Directory = request.app.state.directory
    service = directory.by_sid(request.path_params["service_sid"])
    if service is None:
        raise NotFound
    return service


def _url(request: CompatibleRequest, service: Service) -> str:
    return f"{urls.base_url(request)}/v1/Services/{service.sid}"


def _show(request: CompatibleRequest, service: Service, binding: NotifyBinding) -> NotifyBindingResource:
    account_sid: str = request.app.state.settings.account_sid
    return notify_binding(binding, account_sid, service.sid, _url(request, service))


@post(_LIST, status_code=201)
async def create(request: CompatibleRequest) -> Answer:
    """Create a binding, replacing whatever holds its address."""
    service = _service(request)
    fields = await read_form(request)
    binding = await notify_bindings.create(
        service,
        identity=parameters.required(fields, "Identity", limits.IDENTITY_LENGTH),
        kind=parameters.binding_type(fields),
        address=parameters.required(fields, "Address", limits.ADDRESS_LENGTH),
        tags=parameters.many(fields, "Tag", limits.TAG_LENGTH, limits.TAGS),
        credential_sid=parameters.credential_sid(fields),
        protocol_version=parameters.optional(fields, "NotificationProtocolVersion", limits.PROTOCOL_VERSION_LENGTH),
        traceparent=traceparent_of(request),
    )
    return answer(_show(request, service, binding), status=201)


@get(_ONE)
async def fetch(request: CompatibleRequest) -> Answer:
    """One binding."""
    service = _service(request)
    binding = await notify_bindings.fetch(service, request.path_params["sid"])
    if binding is None:
        raise NotFound
    return answer(_show(request, service, binding))


@get(_LIST)
async def list_(request: CompatibleRequest) -> Answer:
    """A page of the bindings that pass the filters."""
    service = _service(request)
    fields = read_query(request)
    wanted = Filter(
        start=parameters.day(fields, "StartDate"),
        end=parameters.day(fields, "EndDate"),
        identities=parameters.identities(fields),
        tags=parameters.many(fields, "Tag", limits.TAG_LENGTH, limits.TAG_FILTERS),
    )
    asked = listing(request, fields, kind="notify", service_sid=service.sid, filters=_FILTERS, most=_LONGEST_PAGE)
    page = await notify_bindings.page(service, wanted, asked.start, asked.size)
    url = _url(request, service)
    account_sid: str = request.app.state.settings.account_sid
    return answer(asked.answer(page, f"{url}/Bindings", lambda b: notify_binding(b, account_sid, service.sid, url)))


@delete(_ONE, status_code=204)
async def delete_(request: CompatibleRequest) -> None:
    """Delete a binding."""
    service = _service(request)
    if not await notify_bindings.delete(service, request.path_params["sid"], traceparent_of(request)):
        raise NotFound
