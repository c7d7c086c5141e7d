"""The bodies that native routes read, strictly: unknown fields, wrong types and excess are refused by name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from enum import Enum
from typing import Annotated, TypeVar

import msgspec
from litestar import Request
from litestar.datastructures import State
from msgspec import Meta

from service.api.body import read_bytes
from service.api.headers import header
from service.domain import limits
from service.domain.addresses import BindingType
from service.domain.errors import InvalidInput, UnsupportedMediaType
from service.domain.record import ALL_CHANNELS, Channel

T = TypeVar("T")
NativeRequest = Request[object, object, State]

_NO_NUL = r"^[^\u0000]*$"
Identity = Annotated[str, Meta(min_length=1, max_length=limits.IDENTITY_LENGTH, pattern=_NO_NUL)]
DeviceId = Annotated[str, Meta(min_length=1, max_length=limits.DEVICE_ID_LENGTH, pattern=_NO_NUL)]
Session = Annotated[str, Meta(min_length=1, max_length=limits.SESSION_LENGTH, pattern=_NO_NUL)]
Address = Annotated[str, Meta(min_length=1, max_length=limits.ADDRESS_LENGTH, pattern=_NO_NUL)]
Tag = Annotated[str, Meta(min_length=1, max_length=limits.TAG_LENGTH, pattern=_NO_NUL)]
ServiceName = Annotated[str, Meta(min_length=1, max_length=64)]


class ChannelName(Enum):
    """A channel's name on the wire."""

    NOTIFY = "notify"
    CHAT = "chat"


_FLAGS = {
    frozenset({ChannelName.NOTIFY}): Channel.NOTIFY,
    frozenset({ChannelName.CHAT}): Channel.CHAT,
    frozenset(ChannelName): ALL_CHANNELS,
}
Channels = Annotated[tuple[ChannelName, ...], Meta(min_length=1, max_length=2)]


def channel_flags(names: tuple[ChannelName, ...]) -> Channel:
    """The channels of a list of names."""
    return _FLAGS[frozenset(names)]


class ChatBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The Chat side of a registration. The endpoint defaults to one made from identity and device."""

    endpoint: Annotated[str, Meta(min_length=1, max_length=limits.ENDPOINT_LENGTH, pattern=_NO_NUL)] | None = None
    message_types: Annotated[tuple[Tag, ...], Meta(max_length=limits.MESSAGE_TYPES)] | None = None


class RegistrationBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A registration. ``identity`` and ``session`` are for servers: an app's token names both."""

    binding_type: BindingType
    address: Address
    device_id: DeviceId | None = None
    service: ServiceName | None = None
    identity: Identity | None = None
    session: Session | None = None
    tags: Annotated[tuple[Tag, ...], Meta(max_length=limits.TAGS)] = ()
    credential_sid: str | None = None
    notification_protocol_version: (
        Annotated[str, Meta(min_length=1, max_length=limits.PROTOCOL_VERSION_LENGTH, pattern=_NO_NUL)] | None
    ) = None
    channels: Channels = (ChannelName.NOTIFY,)
    chat: ChatBody | None = None


class LogoutBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A logout: of one device, one session, one address, or without these of the whole identity."""

    identity: Identity
    device_id: DeviceId | None = None
    session: Session | None = None
    address: Address | None = None
    service: ServiceName | None = None
    channels: Channels = (ChannelName.NOTIFY, ChannelName.CHAT)
    include_messaging: bool = False


class LookupBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Identities to look up together."""

    identities: Annotated[tuple[Identity, ...], Meta(min_length=1, max_length=limits.LOOKUP_IDENTITIES)]
    service: ServiceName | None = None


async def read_body(request: NativeRequest, decoder: msgspec.json.Decoder[T]) -> T:
    """The request's JSON body.

    Raises:
        UnsupportedMediaType: it does not call itself JSON.
        BodyTooLarge, RequestTimeout: it is too long, or too slow.
        InvalidInput: it is not JSON, or breaks a rule of its fields.
    """
    content_type = (header(request.scope, b"content-type") or "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise UnsupportedMediaType("The body must be application/json")
    body = await read_bytes(request)
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _fault(str(error), decoder.type) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidInput("body", "must be valid JSON in UTF-8") from None


_LONGEST_NAME = 40
_AT = re.compile(r"^(?P<rule>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?$", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>.+)`", re.DOTALL)


def _fault(words: str, kind: type[object]) -> InvalidInput:
    found = _AT.match(words)
    rule, path = (found["rule"], found["path"] or "") if found else (words, "")
    if missing := _MISSING.fullmatch(rule):
        return InvalidInput(_join(path, missing["field"]), "is required")
    if unknown := _UNKNOWN.fullmatch(rule):
        fields = ChatBody.__struct_fields__ if path == "chat" else getattr(kind, "__struct_fields__", ())
        return InvalidInput(path or "body", f"has a field that is not known here{meant(unknown['field'], fields)}")
    if rule.startswith("Invalid enum value"):
        kind_of_choice = ChannelName if path.startswith("channels") else BindingType
        rule = f"must be one of: {', '.join(choice.value for choice in kind_of_choice)}"
    elif "matching regex" in rule:
        rule = "must not contain a NUL character"
    return InvalidInput(path or "body", rule[:1].lower() + rule[1:])


def meant(name: str, fields: Sequence[str]) -> str:
    """The field that somebody may have meant, as the end of a sentence; empty if none is near."""
    # The name is not repeated: it may be an address, or whatever else got into the wrong place.
    near = get_close_matches(name, fields, n=1, cutoff=0.75) if len(name) <= _LONGEST_NAME else []
    return f": did you mean {near[0]}?" if near else ""


def _join(path: str, field: str) -> str:
    return f"{path}.{field}" if path else field
