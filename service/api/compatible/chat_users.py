"""Chat v2 User Bindings. Source: the Programmable Chat User Binding reference.

``{UserSid}`` is a User SID or an identity, and an identity may hold a slash: the path is taken apart as it was sent,
before ``%2F`` became one.
"""

from __future__ import annotations

import msgspec
from litestar import delete, get

from service.api.access_log import traceparent_of
from service.api.answers import Answer
from service.api.compatible import parameters
from service.api.compatible.answers import answer
from service.api.compatible.chat import LONGEST_PAGE, TYPES, chat_service, service_url
from service.api.compatible.forms import CompatibleRequest, read_query
from service.api.compatible.listing import listing
from service.api.compatible.resources import user_binding
from service.api.forms import segments
from service.domain.errors import MethodNotAllowed, NotFound
from service.domain.limits import IDENTITY_LENGTH
from service.domain.sids import user_sid
from service.usecases import chat_bindings
from service.usecases.service import Service

_BENEATH_USERS = "/v2/Services/{service_sid:str}/Users/{rest:path}"


class UserPath(msgspec.Struct, frozen=True):
    """A path beneath a user: its bindings, or one of them."""

    user: str
    sid: str | None


def user_path(raw_path: bytes) -> UserPath:
    """The parts of ``…/v2/Services/{ServiceSid}/Users/{UserSid}/Bindings[/{Sid}]``, percent-encoded as it was sent.

    Raises:
        NotFound: it has another form, or is not UTF-8.
    """
    try:
        parts = [part.decode() for part in segments(raw_path)]
    except UnicodeDecodeError:
        raise NotFound from None
    match parts:
        case [*_, "v2", "Services", _, "Users", user, "Bindings"]:
            found = UserPath(user, None)
        case [*_, "v2", "Services", _, "Users", user, "Bindings", sid]:
            found = UserPath(user, sid)
        case _:
            raise NotFound
    if len(found.user) > IDENTITY_LENGTH:
        raise NotFound
    return found


@get(_BENEATH_USERS)
async def read(request: CompatibleRequest) -> Answer:
    """A page of a user's bindings, or one of them."""
    service = chat_service(request)
    path = user_path(request.scope["raw_path"])
    if path.sid is None:
        return await _list(request, service, path.user)
    owner = chat_bindings.owner_of(service, path.user)
    binding = await chat_bindings.fetch(service, path.sid, owner)
    if binding is None:
        raise NotFound
    account_sid: str = request.app.state.settings.account_sid
    return answer(user_binding(binding, account_sid, service.config.chat_sid, service_url(request, service)))


async def _list(request: CompatibleRequest, service: Service, named: str) -> Answer:
    fields = read_query(request)
    types = parameters.binding_types(fields, TYPES)
    chat_sid = service.config.chat_sid
    user = user_sid(chat_bindings.owner_of(service, named))
    asked = listing(
        request,
        fields,
        kind="chat-user",
        service_sid=chat_sid,
        user=user,
        filters=("BindingType",),
        most=LONGEST_PAGE,
    )
    page = await chat_bindings.page_of_user(service, named, types, asked.start, asked.size)
    if page is None:
        raise NotFound
    url = service_url(request, service)
    account_sid: str = request.app.state.settings.account_sid
    return answer(
        asked.answer(page, f"{url}/Users/{user}/Bindings", lambda b: user_binding(b, account_sid, chat_sid, url))
    )


@delete(_BENEATH_USERS, status_code=204)
async def delete_(request: CompatibleRequest) -> None:
    """Delete one of a user's bindings."""
    service = chat_service(request)
    path = user_path(request.scope["raw_path"])
    if path.sid is None:
        raise MethodNotAllowed("GET, OPTIONS")
    owner = chat_bindings.owner_of(service, path.user)
    if not await chat_bindings.delete(service, path.sid, owner, traceparent_of(request)):
        raise NotFound
