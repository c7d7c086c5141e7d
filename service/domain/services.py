"""What may be configured of a Service: its SIDs, and what it allows and defaults to."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from msgspec import Struct

CapPolicy = Literal["reject", "replace-oldest"]
CAP_POLICIES: tuple[CapPolicy, ...] = ("reject", "replace-oldest")

DEFAULT_PROTOCOL_VERSIONS: Mapping[str, str | None] = MappingProxyType(
    {"apn": "3", "fcm": "3", "gcm": "3", "sms": None, "facebook-messenger": None, "alexa": None}
)
"""By binding type: the version of a binding that names none (the Notify Binding reference)."""


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
