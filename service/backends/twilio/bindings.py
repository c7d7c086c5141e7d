"""Bindings as an upstream shows them. Sources: the Notify, Chat and Conversations Binding references.

What it may leave out or set to null is optional here; what it shows besides is not read.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, TypeAlias, TypeVar

import msgspec

from service.backends.twilio.errors import OutcomeUnknown

T = TypeVar("T")
B = TypeVar("B")

Date: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]
"""RFC 3339. Without an offset it would be taken for the time of wherever the process is."""
S = TypeVar("S", bound=msgspec.Struct)


class NotifyBinding(msgspec.Struct, frozen=True, kw_only=True):
    """A Notify binding: unique by address in its Service."""

    sid: str
    identity: str
    binding_type: str
    address: str
    tags: tuple[str, ...] | None = None
    credential_sid: str | None = None
    notification_protocol_version: str | None = None
    date_created: Date | None = None
    date_updated: Date | None = None


class ChatBinding(msgspec.Struct, frozen=True, kw_only=True):
    """A Chat binding: unique by identity, endpoint and type in its Service."""

    sid: str
    identity: str
    binding_type: str
    endpoint: str
    credential_sid: str | None = None
    message_types: tuple[str, ...] | None = None
    date_created: Date | None = None
    date_updated: Date | None = None


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


def read_one(answer: bytes, kind: type[S]) -> S:
    """A binding; one that lacks what every binding has is of no type that is known.

    Raises:
        OutcomeUnknown: it is none.
    """
    try:
        return msgspec.json.decode(answer, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        rough = read(answer, dict[str, Any])
    if not rough.get("sid"):
        raise OutcomeUnknown("the answer could not be read")
    return _mended(rough, kind)


def read_page(answer: bytes, kind: type[S]) -> BindingList[S]:
    """A page of bindings, each as `read_one` reads it.

    Raises:
        OutcomeUnknown: it is no such page.
    """
    try:
        return msgspec.json.decode(answer, type=BindingList[kind])  # type: ignore[valid-type]
    except (msgspec.MsgspecError, UnicodeDecodeError):
        rough = read(answer, BindingList[dict[str, Any]])
    return BindingList(tuple(_mended(binding, kind) for binding in rough.bindings), rough.meta)


def _is_no_date(name: str, value: object) -> bool:
    # Nothing rests on a date alone: without one a binding is as old as can be.
    if name not in ("date_created", "date_updated"):
        return False
    try:
        msgspec.convert(value, Date)
    except msgspec.ValidationError:
        return True
    return False


def _mended(binding: dict[str, Any], kind: type[S]) -> S:
    said = {name: value for name, value in binding.items() if value is not None and not _is_no_date(name, value)}
    lacking = {field.name: "" for field in msgspec.structs.fields(kind) if field.required}
    if lacking.keys() - said:
        said = {**lacking, **said, "binding_type": ""}
    try:
        return msgspec.convert(said, kind)
    except msgspec.ValidationError:
        raise OutcomeUnknown("the answer could not be read") from None
