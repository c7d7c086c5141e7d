"""Parameters as they come: ``application/x-www-form-urlencoded``, alike in bodies and in query strings.

Decoded here and nowhere else. The framework's own decoder keeps forms in a cache, addresses included, and cannot tell
a list of one from a single value. Source of the rules: the URL Standard, 5.1; ours are the limits and strict UTF-8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import unquote_to_bytes

from litestar import Request
from litestar.datastructures import State
from litestar.exceptions.http_exceptions import RequestEntityTooLarge

from service.domain.errors import BodyTooLarge, InvalidInput, UnsupportedMediaType
from service.domain.limits import BODY_BYTES, FORM_FIELDS

CompatibleRequest = Request[object, object, State]
Fields = Mapping[str, Sequence[str]]
"""Every value of each parameter, in the order in which they came."""

FORM = "application/x-www-form-urlencoded"
_UTF8 = {"utf-8", "utf8"}
_NAMES = frozenset(
    {
        "Address", "BindingType", "CredentialSid", "EndDate", "Endpoint", "Identity", "NotificationProtocolVersion",
        "Page", "PageSize", "PageToken", "StartDate", "Tag",
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


async def read_form(request: CompatibleRequest) -> Fields:
    """The parameters of the request's body.

    Raises:
        UnsupportedMediaType, BodyTooLarge, InvalidInput
    """
    media_type, *options = request.headers.get("content-type", "").split(";")
    if media_type.strip().lower() != FORM or not all(_harmless(option) for option in options):
        raise UnsupportedMediaType(f"The body must be {FORM} in UTF-8")
    try:
        body = await request.body()
    except RequestEntityTooLarge:
        raise BodyTooLarge from None
    if len(body) > BODY_BYTES:
        raise BodyTooLarge
    return decode_fields(body)


def _harmless(option: str) -> bool:
    name, _, value = option.partition("=")
    return name.strip().lower() != "charset" or value.strip().strip('"').lower() in _UTF8


def read_query(request: CompatibleRequest) -> Fields:
    """The parameters of the request's query string.

    Raises:
        InvalidInput
    """
    raw: bytes = request.scope["query_string"]
    return decode_fields(raw) if raw else {}
