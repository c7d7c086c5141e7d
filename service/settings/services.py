"""One configured Service: its SIDs, and what it allows and defaults to."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from msgspec import Struct

CapPolicy = Literal["reject", "replace-oldest"]

AC_SID = re.compile(r"AC[0-9a-fA-F]{32}")
IS_SID = re.compile(r"IS[0-9a-fA-F]{32}")
SK_SID = re.compile(r"SK[0-9a-fA-F]{32}")
SERVICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

CAP_POLICIES: tuple[CapPolicy, ...] = ("reject", "replace-oldest")

DEFAULT_PROTOCOL_VERSIONS: Mapping[str, str | None] = MappingProxyType(
    {"apn": "3", "fcm": "3", "gcm": "3", "sms": None, "facebook-messenger": None, "alexa": None}
)
"""By binding type: the version of a binding that names none (the Notify Binding reference)."""


class ApiKey(Struct, frozen=True, kw_only=True):
    """A server's credentials besides the account's own."""

    sid: str
    secret: str

    def __repr__(self) -> str:
        return f"ApiKey(sid={self.sid!r}, secret=…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("sid", self.sid)]


class ServiceConfig(Struct, frozen=True, kw_only=True):
    """A Service as configured.

    `protocol_versions` has a key for every binding type. `app_tags` are the patterns (`*` any text, `?` any
    character) of the tags that apps may set; servers may set any.
    """

    sid: str
    chat_sid: str
    name: str
    cap_policy: CapPolicy = "reject"
    protocol_versions: Mapping[str, str | None] = DEFAULT_PROTOCOL_VERSIONS
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    app_tags: tuple[str, ...] = ("*",)
