"""The forms of SIDs and names in settings, and the credentials of servers."""

import re
from typing import Any

from msgspec import Struct

from service.domain.services import CAP_POLICIES, DEFAULT_PROTOCOL_VERSIONS, CapPolicy, ServiceConfig

AC_SID = re.compile(r"AC[0-9a-fA-F]{32}")
IS_SID = re.compile(r"IS[0-9a-fA-F]{32}")
SK_SID = re.compile(r"SK[0-9a-fA-F]{32}")
UPSTREAM_USER = re.compile(r"(?:AC|SK)[0-9a-fA-F]{32}")
UPSTREAM_USER_RULE = "must be AC or SK, and 32 hex digits"
SERVICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class ApiKey(Struct, frozen=True, kw_only=True):
    """A server's credentials besides the account's own."""

    sid: str
    secret: str

    def __repr__(self) -> str:
        return f"ApiKey(sid={self.sid!r}, secret=…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("sid", self.sid)]


__all__ = [
    "AC_SID",
    "CAP_POLICIES",
    "DEFAULT_PROTOCOL_VERSIONS",
    "IS_SID",
    "SERVICE_NAME",
    "SK_SID",
    "UPSTREAM_USER",
    "UPSTREAM_USER_RULE",
    "ApiKey",
    "CapPolicy",
    "ServiceConfig",
]
