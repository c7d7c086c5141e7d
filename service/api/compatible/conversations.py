"""Conversations v1 Bindings: the Chat bindings under their newer API. Source: the Conversations Binding reference.

Its paths are Notify's, so it is served under ``/conversations``, and wherever the host's name begins with it.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from litestar import delete, get
from litestar.response.base import ASGIResponse

from service.api import urls
from service.api.access_log import traceparent_of
from service.api.compatible import parameters
from service.api.compatible.answers import answer
from service.api.compatible.chat import chat_service
from service.api.compatible.forms import CompatibleRequest, read_query
from service.api.compatible.listing import listing
from service.api.compatible.resources import conversations_binding
from service.domain.errors import NotFound
from service.usecases import chat_bindings
from service.usecases.chat_bindings import Filter
from service.usecases.service import Service

PREFIX = "/conversations"
LONGEST_PAGE = 100
TYPES = ("apn", "gcm", "fcm", "twilsock")
"""``twilsock`` are web sockets: a list may be filtered by them, and there are none here."""

_LIST = "/v1/Services/{service_sid:str}/Bindings"
_ONE = "/v1/Services/{service_sid:str}/Bindings/{sid:str}"
_FILTERS = ("BindingType", "Identity")


def is_conversations(host: str | None) -> bool:
    """Whether a host is named for this API, as the vendor's ``conversations.…`` is."""
    return host is not None and host.lower().startswith("conversations.")


def _url(request: CompatibleRequest, service: Service) -> str:
    base = urls.base_url(request)
    if not base.endswith(PREFIX) and not is_conversations(urlsplit(base).hostname):
        # Asked for by a host's name that the public URL does not have.
        base += PREFIX
    return f"{base}/v1/Services/{service.config.chat_sid}"


@get(_ONE)
async def fetch(request: CompatibleRequest) -> ASGIResponse:
    """One binding."""
    service = chat_service(request)
    binding = await chat_bindings.fetch(service, request.path_params["sid"])
    if binding is None:
        raise NotFound
    account_sid: str = request.app.state.settings.account_sid
    return answer(conversations_binding(binding, account_sid, service.config.chat_sid, _url(request, service)))


@get(_LIST)
async def list_(request: CompatibleRequest) -> ASGIResponse:
    """A page of the bindings that pass the filters."""
    service = chat_service(request)
    fields = read_query(request)
    wanted = Filter(binding_types=parameters.binding_types(fields, TYPES), identities=parameters.identities(fields))
    chat_sid = service.config.chat_sid
    asked = listing(request, fields, kind="conversations", service_sid=chat_sid, filters=_FILTERS, most=LONGEST_PAGE)
    page = await chat_bindings.page(service, wanted, asked.start, asked.size)
    url = _url(request, service)
    account_sid: str = request.app.state.settings.account_sid
    return answer(asked.answer(page, f"{url}/Bindings", lambda b: conversations_binding(b, account_sid, chat_sid, url)))


@delete(_ONE, status_code=204)
async def delete_(request: CompatibleRequest) -> None:
    """Delete a binding: its registration no longer wants one in Chat."""
    service = chat_service(request)
    if not await chat_bindings.delete(service, request.path_params["sid"], traceparent=traceparent_of(request)):
        raise NotFound
