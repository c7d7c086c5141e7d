"""The lines of an archive: a Service's registrations as NDJSON, one object a line, to move them or to keep them.

The first line says whose they are. Then come registrations in the order of their fingerprints, each with its Chat
binding, then Chat bindings that have no registration. Times are seconds since the epoch. What is on its way out is not
among them.

Texts are as long as a record holds them: what an upstream has need not keep to the limits of our own routes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct

from service.domain import limits
from service.domain.addresses import BindingType
from service.domain.record import Attributes, Extras, encode_blob, pack_address

FORM = 1
"""Version of this form. Fields are only ever added."""

Counter: TypeAlias = Annotated[int, Meta(ge=0, lt=2**53)]
Seconds: TypeAlias = Annotated[int, Meta(ge=0, lt=2**32)]
Sid: TypeAlias = Annotated[str, Meta(pattern="^BS[0-9a-f]{32}$")]
Text: TypeAlias = Annotated[str, Meta(min_length=1)]
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

    endpoint: Text
    binding_type: BindingType | None = None
    message_types: tuple[str, ...] | None = None
    credential_sid: str | None = None

    def attributes_of(self, identity: str) -> Attributes:
        """Its attributes, for the identity that has it."""
        return Attributes(identity, credential_sid=self.credential_sid, message_types=self.message_types)


class RegistrationLine(_Line, frozen=True, kw_only=True, omit_defaults=True, tag="registration", tag_field="line"):
    """A registration. Without Notify its ``applied`` means nothing."""

    identity: str
    binding_type: BindingType
    address: Text
    notify: bool = True
    device_id: Annotated[str, Meta(min_length=1, max_length=limits.DEVICE_ID_LENGTH)] | None = None
    session: Digest | None = None
    """A digest under the fingerprint key; the session itself is not kept."""
    tags: tuple[str, ...] = ()
    credential_sid: str | None = None
    protocol_version: str | None = None
    chat: ChatPart | None = None

    @property
    def attributes(self) -> Attributes:
        """Its attributes."""
        return Attributes(self.identity, self.tags, self.credential_sid, self.protocol_version)

    @property
    def extras(self) -> Extras:
        """What only the native routes know of it."""
        chat = self.chat
        return Extras(self.device_id, chat.endpoint if chat else None, chat.message_types if chat else None)


class ChatLine(ChatPart, frozen=True, kw_only=True, omit_defaults=True, tag="chat", tag_field="line"):
    """A Chat binding that an app's SDK has made at an upstream, without a registration."""

    identity: str


Line: TypeAlias = Head | RegistrationLine | ChatLine

_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)
encode_line = msgspec.json.Encoder().encode

_QUOTED = re.compile(r"""(?<!regex) (?:'.*'|".*")|(?<=unknown field) `.*?`(?=(?: - at `\$\.chat`)?$)""", re.DOTALL)
"""What msgspec repeats of a line: a value, or the name of a field; an address, if it is in the wrong place."""


def decode_line(raw: bytes, number: int) -> Line:
    """The line of that number, counted from 1.

    Raises:
        UnreadableLine: naming the number and the fault, never an address or a device id.
    """
    try:
        line = _decoder.decode(raw)
    except msgspec.ValidationError as error:
        # Its text names the field and the rule. From None: a cause would quote the line.
        raise UnreadableLine(f"line {number}: {_QUOTED.sub('', str(error))}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UnreadableLine(f"line {number}: not a JSON object") from None
    if not isinstance(line, Head) and any(len(part) > limits.PART_BYTES for part in _parts(line)):
        raise UnreadableLine(f"line {number}: longer than a registration can be")
    return line


def _parts(line: RegistrationLine | ChatLine) -> Iterator[bytes]:
    chat = line if isinstance(line, ChatLine) else line.chat
    if isinstance(line, RegistrationLine):
        yield from (pack_address(line.address), encode_blob(line.attributes), encode_blob(line.extras))
    if chat is not None:
        yield from (pack_address(chat.endpoint), encode_blob(chat.attributes_of(line.identity)))
