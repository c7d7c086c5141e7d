"""Forms and query strings of the compatible routes."""

from __future__ import annotations

from litestar import Request
from litestar.datastructures import State

from service.api.body import read_bytes
from service.api.forms import Fields, decode_fields
from service.api.headers import header
from service.domain.errors import UnsupportedMediaType

CompatibleRequest = Request[object, object, State]

FORM = "application/x-www-form-urlencoded"
_UTF8 = {"utf-8", "utf8"}


async def read_form(request: CompatibleRequest) -> Fields:
    """The parameters of the request's body.

    Raises:
        UnsupportedMediaType, BodyTooLarge, RequestTimeout, InvalidInput
    """
    media_type, *options = (header(request.scope, b"content-type") or "").split(";")
    if media_type.strip().lower() != FORM or not all(_harmless(option) for option in options):
        raise UnsupportedMediaType(f"The body must be {FORM} in UTF-8")
    return decode_fields(await read_bytes(request))


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
