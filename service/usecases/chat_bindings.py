"""The Chat Binding and User Binding resources: fetch, list and delete. There is no create: apps register instead.

Source: the Programmable Chat REST reference (Binding, User Binding). It shows what is applied and still desired.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import msgspec

from service.backends.twilio import ChatBinding as Foreign
from service.domain.errors import BackendSwitched
from service.domain.record import Channel, Record
from service.domain.sids import BindingSid, is_sid, user_sid
from service.usecases.paging import Page, Position, scan_page, slice_page
from service.usecases.service import Service
from service.usecases.upstream import chat as chat_at_upstream
from service.usecases.upstream.channels import ChatUpstream

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _asked_again(ask: Callable[_P, Awaitable[_T]]) -> Callable[_P, Awaitable[_T]]:
    """What meets a switch is asked once more: of whoever keeps the bindings now."""

    @wraps(ask)
    async def asked(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return await ask(*args, **kwargs)
        except BackendSwitched:
            return await ask(*args, **kwargs)

    return asked


class ChatBinding(msgspec.Struct, frozen=True):
    """A Chat binding as its backend holds it."""

    sid: str
    identity: str
    user_sid: str
    endpoint: str
    binding_type: str
    credential_sid: str | None
    message_types: tuple[str, ...]
    created: int
    updated: int


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which bindings a list shows: of any of these types, of any of these identities."""

    binding_types: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()


ALL_MESSAGE_TYPES = ("removed_from_channel", "new_message", "added_to_channel", "invited_to_channel")
"""What a binding that names no message types is subscribed to."""


def _binding(record: Record) -> ChatBinding | None:
    visible = record.visible(Channel.CHAT)
    if visible is None:
        return None
    attributes = visible.attributes
    return ChatBinding(
        sid=str(visible.sid),
        identity=attributes.identity,
        user_sid=user_sid(record.owner),
        endpoint=record.address,
        binding_type=visible.kind.value,
        credential_sid=attributes.credential_sid,
        message_types=ALL_MESSAGE_TYPES if attributes.message_types is None else attributes.message_types,
        created=visible.created,
        updated=visible.updated,
    )


def owner_of(service: Service, user: str) -> bytes:
    """The owner that a path's ``{UserSid}`` speaks of: a User SID, or else an identity."""
    return bytes.fromhex(user[2:]) if is_sid("US", user) else service.fingerprints.owner(user)


@_asked_again
async def fetch(service: Service, sid: str, owner: bytes | None = None) -> ChatBinding | None:
    """The binding of a SID (of this owner, if one is given), or None."""
    parsed = BindingSid.parse(sid)
    if parsed is None:
        # At an upstream it would be a path of its own.
        return None
    if service.chat_upstream is not None:
        shown = await chat_at_upstream.fetch(service, service.chat_upstream, sid, owner)
        return _foreign(service, shown) if shown else None
    record = await service.reading.binding(parsed, chat=True)
    if record is None or (owner is not None and record.owner != owner):
        return None
    binding = _binding(record)
    return binding if binding and binding.sid == str(parsed) else None


@_asked_again
async def delete(service: Service, sid: str, owner: bytes = b"", traceparent: str | None = None) -> bool:
    """Take the Chat channel out of a registration; answers whether there was such a binding."""
    parsed = BindingSid.parse(sid)
    if parsed is None:
        return False
    if service.chat_upstream is not None:
        return await chat_at_upstream.delete(service, service.chat_upstream, sid, owner or None, traceparent)
    removed, wake, _ = await service.registrations.remove_binding(
        parsed, Channel.CHAT, owner=owner, at_once=service.at_once
    )
    service.wake(wake, traceparent)
    return removed


@_asked_again
async def page(service: Service, wanted: Filter, start: Position, size: int) -> Page[ChatBinding]:
    """A page of the Service's bindings that pass the filter."""
    if service.chat_upstream is not None:
        return await _page_there(service, service.chat_upstream, wanted, start, size)
    match = _matching(wanted.binding_types)
    if not wanted.identities:
        return await scan_page(service.reading, match, start, size, chat=True)
    owners = [service.fingerprints.owner(identity) for identity in dict.fromkeys(wanted.identities)]
    found = await service.reading.chat_bindings_of(owners)
    return slice_page((record for records in found for record in records or ()), match, start, size)


@_asked_again
async def page_of_user(
    service: Service, user: str, binding_types: tuple[str, ...], start: Position, size: int
) -> Page[ChatBinding] | None:
    """A page of the bindings of a path's ``{UserSid}``; None if the Service has never seen the user."""
    owner = owner_of(service, user)
    if service.chat_upstream is not None:
        named = user if not is_sid("US", user) else await chat_at_upstream.identity_of(service, owner)
        if named is None:
            return None
        wanted = Filter(binding_types=binding_types, identities=(named,))
        return await _page_there(service, service.chat_upstream, wanted, start, size)
    [records] = await service.reading.chat_bindings_of([owner])
    if records is None:
        return None
    return slice_page(records, _matching(binding_types), start, size)


async def _page_there(
    service: Service, upstream: ChatUpstream, wanted: Filter, start: Position, size: int
) -> Page[ChatBinding]:
    if not wanted.identities:
        all_ = await chat_at_upstream.page(service, upstream, wanted.binding_types, start, size)
        return Page([_foreign(service, binding) for binding in all_.items], all_.previous, all_.next)

    def match(shown: chat_at_upstream.Shown) -> ChatBinding | None:
        types = wanted.binding_types
        return None if types and shown.binding.binding_type not in types else _foreign(service, shown.binding)

    found = await chat_at_upstream.of(service, upstream, wanted.identities)
    return slice_page(found, match, start, size)


def _foreign(service: Service, binding: Foreign) -> ChatBinding:
    created = chat_at_upstream.seconds(binding.date_created)
    return ChatBinding(
        sid=binding.sid,
        identity=binding.identity,
        user_sid=user_sid(service.fingerprints.owner(binding.identity)),
        endpoint=binding.endpoint,
        binding_type=binding.binding_type,
        credential_sid=binding.credential_sid,
        message_types=ALL_MESSAGE_TYPES if binding.message_types is None else binding.message_types,
        created=created,
        updated=chat_at_upstream.seconds(binding.date_updated) or created,
    )


def _matching(binding_types: tuple[str, ...]) -> Callable[[Record], ChatBinding | None]:
    def match(record: Record) -> ChatBinding | None:
        binding = _binding(record)
        if binding is None or (binding_types and binding.binding_type not in binding_types):
            return None
        return binding

    return match
