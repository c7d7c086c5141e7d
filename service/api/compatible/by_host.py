"""The paths that Notify and Conversations share at the root: which of the two is meant, the host's name tells."""

from __future__ import annotations

from litestar import delete, get, post
from litestar.response.base import ASGIResponse

from service.api import urls
from service.api.compatible import conversations, notify
from service.api.compatible.conversations import is_conversations
from service.api.compatible.forms import CompatibleRequest
from service.domain.errors import MethodNotAllowed

_LIST = "/v1/Services/{service_sid:str}/Bindings"
_ONE = "/v1/Services/{service_sid:str}/Bindings/{sid:str}"


@post(_LIST, status_code=201)
async def create(request: CompatibleRequest) -> ASGIResponse:
    """Create a Notify binding; Conversations has no create."""
    if is_conversations(urls.host(request)):
        raise MethodNotAllowed("GET, OPTIONS")
    return await notify.create.fn(request)  # type: ignore[no-any-return]  # Litestar does not type it


@get(_ONE)
async def fetch(request: CompatibleRequest) -> ASGIResponse:
    """One binding."""
    api = conversations if is_conversations(urls.host(request)) else notify
    return await api.fetch.fn(request)  # type: ignore[no-any-return]  # as above


@get(_LIST)
async def list_(request: CompatibleRequest) -> ASGIResponse:
    """A page of bindings."""
    api = conversations if is_conversations(urls.host(request)) else notify
    return await api.list_.fn(request)  # type: ignore[no-any-return]  # as above


@delete(_ONE, status_code=204)
async def delete_(request: CompatibleRequest) -> None:
    """Delete a binding."""
    api = conversations if is_conversations(urls.host(request)) else notify
    await api.delete_.fn(request)
