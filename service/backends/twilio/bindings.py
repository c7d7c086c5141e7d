"""Bindings as an upstream shows them. Sources: the Notify, Chat and Conversations Binding references.

What it may leave out or set to null is optional here; what it shows besides is not read.
"""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from service.backends.twilio.errors import OutcomeUnknown

T = TypeVar("T")
B = TypeVar("B")


class NotifyBinding(msgspec.Struct, frozen=True, kw_only=True):
    """A Notify binding: unique by address in its Service."""

    sid: str
    identity: str
    binding_type: str
    address: str
    tags: tuple[str, ...] | None = None
    credential_sid: str | None = None
    notification_protocol_version: str | None = None
    date_created: datetime | None = None
    date_updated: datetime | None = None


class ChatBinding(msgspec.Struct, frozen=True, kw_only=True):
    """A Chat binding: unique by identity, endpoint and type in its Service."""

    sid: str
    identity: str
    binding_type: str
    endpoint: str
    credential_sid: str | None = None
    message_types: tuple[str, ...] | None = None
    date_created: datetime | None = None
    date_updated: datetime | None = None


class Meta(msgspec.Struct, frozen=True):
    """Where a page stands in its list."""

    next_page_url: str | None = None


class BindingList(msgspec.Struct, Generic[B], frozen=True):
    """A page of a list."""

    bindings: tuple[B, ...]
    meta: Meta


def read(answer: bytes, kind: type[T]) -> T:
    """An answer as ``kind``.

    Raises:
        OutcomeUnknown: it is none; whatever was asked for may have been done.
    """
    try:
        return msgspec.json.decode(answer, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        # From None: msgspec's text may quote the answer.
        raise OutcomeUnknown("the answer could not be read") from None
