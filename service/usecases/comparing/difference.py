"""A difference between a Service and one of its upstreams."""

from __future__ import annotations

from enum import Enum

import msgspec


class What(Enum):
    """In which way the two sides differ."""

    MISSING = "missing there"
    DIFFERS = "differs"
    UNKNOWN = "unknown here"
    UNWANTED = "not wanted there"
    OWED = "still owed"


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One of them. Addresses and device ids are not told."""

    api: str
    what: What
    user_sid: str
    binding_sid: str
    detail: str = ""
