"""What native routes take from a URL, strictly: UTF-8 without NUL, and each parameter once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from service.api.forms import decode_fields, segments
from service.api.native.bodies import NativeRequest, meant
from service.domain import limits
from service.domain.errors import InvalidInput, NotFound


def query_of(request: NativeRequest, name: str) -> str | None:
    """The value of a parameter of the query, or None.

    Raises:
        InvalidInput: it was given more than once; or any of the query is not UTF-8, or holds a NUL.
    """
    raw: bytes = request.scope["query_string"]
    values = decode_fields(raw).get(name) if raw else None
    if values is None:
        return None
    if len(values) > 1:
        raise InvalidInput(name, "must be given once")
    return values[0]


def check_names(request: NativeRequest, known: Sequence[str]) -> None:
    """Refuse parameters that a route does not have: a mistyped condition would be none, and another Service be meant.

    Raises:
        InvalidInput: as ``query_of``; or there are others than ``known``.
    """
    raw: bytes = request.scope["query_string"]
    for name in decode_fields(raw) if raw else ():
        if name not in known:
            raise InvalidInput("query", f"has a parameter that is not known here{meant(name, known)}")


def device_of(request: NativeRequest) -> str:
    """The ``device_id`` of the query.

    Raises:
        InvalidInput: as ``query_of``; or it is missing, empty or too long.
    """
    device_id = query_of(request, "device_id")
    if device_id is None:
        raise InvalidInput("device_id", "is required")
    if not 0 < len(device_id) <= limits.DEVICE_ID_LENGTH:
        raise InvalidInput("device_id", f"must have 1 to {limits.DEVICE_ID_LENGTH} characters")
    return device_id


def seen_since_of(request: NativeRequest) -> int | None:
    """The ``unless_seen_since`` of the query in seconds since the epoch, or None.

    Raises:
        InvalidInput: as ``query_of``; or it is no time.
    """
    given = query_of(request, "unless_seen_since")
    if given is None:
        return None
    try:
        # RFC 3339, 5.6, lets "t" and "z" be small; Python does not.
        at = datetime.fromisoformat(given.upper())
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise InvalidInput("unless_seen_since", "must be a time as in RFC 3339, with its offset from UTC")
    return int(at.timestamp())


def identity_of(request: NativeRequest) -> str:
    """The identity of ``…/v1/identities/{identity}/bindings``: the path as it was sent, before ``%2F`` became a slash.

    Raises:
        NotFound: the path has another form.
        InvalidInput: the identity is not UTF-8, holds a NUL, or is too long.
    """
    match segments(request.scope["raw_path"]):
        case [*_, b"v1", b"identities", sent, b"bindings"]:
            pass
        case _:
            raise NotFound
    try:
        identity = sent.decode()
    except UnicodeDecodeError:
        raise InvalidInput("identity", "must be UTF-8") from None
    if len(identity) > limits.IDENTITY_LENGTH or "\0" in identity:
        raise InvalidInput("identity", f"must have at most {limits.IDENTITY_LENGTH} characters, none of them NUL")
    return identity
