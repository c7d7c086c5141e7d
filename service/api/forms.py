"""Parameters as they come: ``application/x-www-form-urlencoded``, alike in bodies and in query strings; and paths.

Decoded here and nowhere else, strictly: the framework's own decoders replace what is not UTF-8, keep forms in a cache,
addresses included, and cannot tell a list of one from a single value. Source of the rules: the URL Standard, 5.1; ours
are the limits and strict UTF-8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import unquote_to_bytes

from service.domain.errors import InvalidInput
from service.domain.limits import FORM_FIELDS

Fields = Mapping[str, Sequence[str]]
"""Every value of each parameter, in the order in which they came."""

_NAMES = frozenset(
    {
        "Address", "BindingType", "CredentialSid", "EndDate", "Endpoint", "Identity", "NotificationProtocolVersion",
        "Page", "PageSize", "PageToken", "StartDate", "Tag", "device_id", "service", "unless_seen_since",
    }
)  # fmt: skip


def decode_fields(raw: bytes) -> Fields:
    """The parameters of an encoded form.

    Raises:
        InvalidInput: too many of them, or one that is not UTF-8 or holds a NUL.
    """
    if raw.count(b"&") >= FORM_FIELDS:
        raise InvalidInput("", f"The request must not have more than {FORM_FIELDS} parameters")
    fields: dict[str, list[str]] = {}
    for part in raw.split(b"&"):
        if part:
            name, _, value = part.partition(b"=")
            known = _text(name, "")
            # Only names of ours are repeated in an error: what a stranger took for a name may be an address.
            fields.setdefault(known, []).append(_text(value, known if known in _NAMES else ""))
    return fields


def _text(encoded: bytes, field: str) -> str:
    try:
        text = unquote_to_bytes(encoded.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise InvalidInput(field, "must be UTF-8" if field else "Every parameter must be UTF-8") from None
    if "\0" in text:
        rule = "must not contain a NUL character"
        raise InvalidInput(field, rule if field else f"A parameter {rule}")
    return text


def segments(raw_path: bytes) -> list[bytes]:
    """A path's segments, each decoded by itself, so that ``%2F`` separates nothing; empty ones are left out."""
    return [unquote_to_bytes(part) for part in raw_path.partition(b"?")[0].split(b"/") if part]
