"""Answers as bytes: JSON in UTF-8, as the vendor labels it."""

from __future__ import annotations

import msgspec

from service.api.answers import Answer

MEDIA_TYPE = b"application/json; charset=utf-8"

_encode = msgspec.json.Encoder().encode


def answer(resource: msgspec.Struct, status: int = 200) -> Answer:
    """A resource or a list."""
    return Answer(_encode(resource), status, media_type=MEDIA_TYPE)
