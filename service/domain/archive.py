"""The lines of an archive: a Service's registrations as NDJSON, one object a line, to move them or to keep them.

The first line says whose they are. Then come registrations in the order of their fingerprints, each with its Chat
binding, then Chat bindings that have no registration. Times are seconds since the epoch. What is on its way out is not
among them.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct

from service.domain import limits
from service.domain.addresses import BindingType

FORM = 1
"""Version of this form. Fields are only ever added."""

Counter: TypeAlias = Annotated[int, Meta(ge=0, lt=2**53)]
Seconds: TypeAlias = Annotated[int, Meta(ge=0, lt=2**32)]
Identity: TypeAlias = Annotated[str, Meta(min_length=1, max_length=limits.IDENTITY_LENGTH)]
Sid: TypeAlias = Annotated[str, Meta(pattern="^BS[0-9a-f]{32}$")]
Endpoint: TypeAlias = Annotated[str, Meta(min_length=1, max_length=limits.ENDPOINT_LENGTH)]
Name: TypeAlias = Annotated[str, Meta(max_length=limits.TAG_LENGTH)]
Names: TypeAlias = Annotated[tuple[Name, ...], Meta(max_length=100)]
Digest: TypeAlias = Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]


class UnreadableLine(ValueError):
    """A line of an archive is not of its form; the text names its number and what is wrong, and quotes no address."""


class Head(Struct, frozen=True, kw_only=True, tag="bindery", tag_field="line"):
    """The first line. Under the same key and for the same Service, SIDs, ids and sessions are the same."""

    form: int = FORM
    service: str
    key: str
    """The check value of the fingerprint key, which gives nothing of it away."""


class _Line(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    sid: Sid
    applied: bool
    """Whether its backend holds it; else that is still to come."""
    version: Counter
    generation: Counter
    created: Seconds
    updated: Seconds
    seen: Seconds


class ChatPart(_Line, frozen=True, kw_only=True, omit_defaults=True):
    """A Chat binding; ``binding_type`` and ``identity`` are those of its registration, if left out."""

    endpoint: Endpoint
    binding_type: BindingType | None = None
    message_types: Names | None = None
    credential_sid: Name | None = None


class RegistrationLine(_Line, frozen=True, kw_only=True, omit_defaults=True, tag="registration", tag_field="line"):
    """A registration. Without Notify its ``applied`` means nothing."""

    identity: Identity
    binding_type: BindingType
    address: Annotated[str, Meta(min_length=1, max_length=limits.ADDRESS_LENGTH)]
    notify: bool = True
    device_id: Annotated[str, Meta(min_length=1, max_length=limits.DEVICE_ID_LENGTH)] | None = None
    session: Digest | None = None
    """A digest under the fingerprint key; the session itself is not kept."""
    tags: Names = ()
    credential_sid: Name | None = None
    protocol_version: Name | None = None
    chat: ChatPart | None = None


class ChatLine(ChatPart, frozen=True, kw_only=True, omit_defaults=True, tag="chat", tag_field="line"):
    """A Chat binding that an app's SDK has made at an upstream, without a registration."""

    identity: Identity


Line: TypeAlias = Head | RegistrationLine | ChatLine

_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)
encode_line = msgspec.json.Encoder().encode


def decode_line(raw: bytes, number: int) -> Line:
    """The line of that number, counted from 1.

    Raises:
        UnreadableLine: naming the number and the fault, never an address or a device id.
    """
    try:
        return _decoder.decode(raw)
    except msgspec.ValidationError as error:
        # Its text names the field and the rule. From None: a cause would quote the line.
        raise UnreadableLine(f"line {number}: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UnreadableLine(f"line {number}: not a JSON object") from None
