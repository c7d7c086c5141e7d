"""Chat v2 Bindings. Source: the Programmable Chat Binding reference."""

from __future__ import annotations

from litestar import delete, get

from service.api import urls
from service.api.access_log import traceparent_of
from service.api.answers import Answer
from service.api.compatible import parameters
from service.api.compatible.answers import answer
from service.api.compatible.forms import CompatibleRequest, read_query
from service.api.compatible.listing import listing
from service.api.compatible.resources import chat_binding
from service.domain.errors import NotFound
from service.usecases import chat_bindings
from service.usecases.chat_bindings import Filter
from service.usecases.service import Directory, Service

LONGEST_PAGE = 50
TYPES = ("apn", "gcm", "fcm")

_LIST = "/v2/Services/{service_sid:str}/Bindings"
_ONE = "/v2/Services/{service_sid:str}/Bindings/{sid:str}"
_FILTERS = ("BindingType", "Identity")


def chat_service(request: CompatibleRequest) -> Service:
    """The Service of the Chat Service SID in the path.

    Raises:
        NotFound: there is none.
    """
    directory: Directory = request.app.state.directory
    service = directory.by_chat_sid(request.path_params["service_sid"])
    if service is None:
        raise NotFound
    return service


def service_url(request: CompatibleRequest, service: Service) -> str:
    """The URL of a Chat Service."""
    return f"{urls.base_url(request)}/v2/Services/{service.config.chat_sid}"


@get(_ONE)
async def fetch(request: CompatibleRequest) -> Answer:
    """One binding."""
    service = chat_service(request)
    binding = await chat_bindings.fetch(service, request.path_params["sid"])
    if binding is None:
        raise NotFound
    account_sid: str = request.app.state.settings.account_sid
    return answer(chat_binding(binding, account_sid, service.config.chat_sid, service_url(request, service)))


@get(_LIST)
async def list_(request: CompatibleRequest) -> Answer:
    """A page of the bindings that pass the filters."""
    service = chat_service(request)
    fields = read_query(request)
    wanted = Filter(binding_types=parameters.binding_types(fields, TYPES), identities=parameters.identities(fields))
    asked = listing(
        request, fields, kind="chat", service_sid=service.config.chat_sid, filters=_FILTERS, most=LONGEST_PAGE
    )
    page = await chat_bindings.page(service, wanted, asked.start, asked.size)
    url, chat_sid = service_url(request, service), service.config.chat_sid
    account_sid: str = request.app.state.settings.account_sid
    return answer(asked.answer(page, f"{url}/Bindings", lambda b: chat_binding(b, account_sid, chat_sid, url)))


@delete(_ONE, status_code=204)
async def delete_(request: CompatibleRequest) -> None:
    """Delete a binding: its registration no longer wants one in Chat."""
    service = chat_service(request)
    if not await chat_bindings.delete(service, request.path_params["sid"], traceparent=traceparent_of(request)):
        raise NotFound
