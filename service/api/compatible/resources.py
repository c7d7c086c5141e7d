"""The resources as the vendor's reference pages show them: the same keys in the same order, null where unset."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from service.api.urls import segment
from service.usecases.chat_bindings import ChatBinding
from service.usecases.notify_bindings import NotifyBinding


class Links(msgspec.Struct, frozen=True):
    """URLs of what belongs to a binding."""

    user: str


class NotifyBindingResource(msgspec.Struct, frozen=True, kw_only=True):
    """A Notify Binding. ``endpoint`` is deprecated: it is not a key, and always null."""

    sid: str
    account_sid: str
    service_sid: str
    credential_sid: str | None
    date_created: datetime
    date_updated: datetime
    notification_protocol_version: str | None
    endpoint: None
    identity: str
    binding_type: str
    address: str
    tags: tuple[str, ...]
    url: str
    links: Links


class ChatBindingResource(msgspec.Struct, frozen=True, kw_only=True):
    """A Chat Binding."""

    sid: str
    account_sid: str
    service_sid: str
    date_created: datetime
    date_updated: datetime
    endpoint: str
    identity: str
    credential_sid: str | None
    binding_type: str
    message_types: tuple[str, ...]
    url: str
    links: Links


class UserBindingResource(msgspec.Struct, frozen=True, kw_only=True):
    """A Chat User Binding."""

    sid: str
    account_sid: str
    service_sid: str
    date_created: datetime
    date_updated: datetime
    endpoint: str
    identity: str
    user_sid: str
    credential_sid: str | None
    binding_type: str
    message_types: tuple[str, ...]
    url: str


class ConversationsBindingResource(msgspec.Struct, frozen=True, kw_only=True):
    """A Conversations Binding."""

    sid: str
    account_sid: str
    chat_service_sid: str
    credential_sid: str | None
    date_created: datetime
    date_updated: datetime
    endpoint: str
    identity: str
    binding_type: str
    message_types: tuple[str, ...]
    url: str


class Meta(msgspec.Struct, frozen=True, kw_only=True):
    """Where a page stands in its list; pages count from 0."""

    page: int
    page_size: int
    first_page_url: str
    previous_page_url: str | None
    url: str
    next_page_url: str | None
    key: str = "bindings"


class BindingList(msgspec.Struct, frozen=True):
    """A page of a list."""

    meta: Meta
    bindings: (
        list[NotifyBindingResource]
        | list[ChatBindingResource]
        | list[UserBindingResource]
        | list[ConversationsBindingResource]
    )


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def notify_binding(binding: NotifyBinding, account_sid: str, service_sid: str, url: str) -> NotifyBindingResource:
    """A Notify Binding; ``url`` is its Service's."""
    return NotifyBindingResource(
        sid=binding.sid,
        account_sid=account_sid,
        service_sid=service_sid,
        credential_sid=binding.credential_sid,
        date_created=_time(binding.created),
        date_updated=_time(binding.updated),
        notification_protocol_version=binding.protocol_version,
        endpoint=None,
        identity=binding.identity,
        binding_type=binding.binding_type,
        address=binding.address,
        tags=binding.tags,
        url=f"{url}/Bindings/{binding.sid}",
        links=Links(f"{url}/Users/{segment(binding.identity)}"),
    )


def chat_binding(binding: ChatBinding, account_sid: str, service_sid: str, url: str) -> ChatBindingResource:
    """A Chat Binding; ``url`` is its Service's."""
    return ChatBindingResource(
        sid=binding.sid,
        account_sid=account_sid,
        service_sid=service_sid,
        date_created=_time(binding.created),
        date_updated=_time(binding.updated),
        endpoint=binding.endpoint,
        identity=binding.identity,
        credential_sid=binding.credential_sid,
        binding_type=binding.binding_type,
        message_types=binding.message_types,
        url=f"{url}/Bindings/{binding.sid}",
        links=Links(f"{url}/Users/{segment(binding.identity)}"),
    )


def user_binding(binding: ChatBinding, account_sid: str, service_sid: str, url: str) -> UserBindingResource:
    """A Chat User Binding; ``url`` is its Service's."""
    return UserBindingResource(
        sid=binding.sid,
        account_sid=account_sid,
        service_sid=service_sid,
        date_created=_time(binding.created),
        date_updated=_time(binding.updated),
        endpoint=binding.endpoint,
        identity=binding.identity,
        user_sid=binding.user_sid,
        credential_sid=binding.credential_sid,
        binding_type=binding.binding_type,
        message_types=binding.message_types,
        url=f"{url}/Users/{binding.user_sid}/Bindings/{binding.sid}",
    )


def conversations_binding(
    binding: ChatBinding, account_sid: str, chat_service_sid: str, url: str
) -> ConversationsBindingResource:
    """A Conversations Binding; ``url`` is its Service's."""
    return ConversationsBindingResource(
        sid=binding.sid,
        account_sid=account_sid,
        chat_service_sid=chat_service_sid,
        credential_sid=binding.credential_sid,
        date_created=_time(binding.created),
        date_updated=_time(binding.updated),
        endpoint=binding.endpoint,
        identity=binding.identity,
        binding_type=binding.binding_type,
        message_types=binding.message_types,
        url=f"{url}/Bindings/{binding.sid}",
    )
