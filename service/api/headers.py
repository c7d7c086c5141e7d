"""Parts of a request's head, read off the ASGI scope: the framework decodes all headers for each object it makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from litestar.types import HTTPScope, Scope


def header(scope: Scope, name: bytes) -> str | None:
    """The value of a header (lower-case ``name``), or None; of several, the first."""
    for key, value in scope["headers"]:
        if key == name:
            return value.decode("latin-1")
    return None


def joined(scope: Scope, name: bytes) -> str | None:
    """The value of a header that is a list: several of it are one with commas between (RFC 9110, 5.2); or None."""
    found = [value for key, value in scope["headers"] if key == name]
    return b", ".join(found).decode("latin-1") if found else None


def asked(scope: HTTPScope) -> str:
    """The method of the request; a HEAD reaches the application as the GET whose head it asks for."""
    return cast(Mapping[str, str], scope).get("asked") or scope["method"]
