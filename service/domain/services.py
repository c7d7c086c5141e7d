"""What may be configured of a Service: its SIDs, what it allows and defaults to, and where its bindings live."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import urlsplit

from msgspec import Struct, structs

CapPolicy = Literal["reject", "replace-oldest"]
CAP_POLICIES: tuple[CapPolicy, ...] = ("reject", "replace-oldest")

UpstreamApi = Literal["notify", "chat", "conversations"]
"""The vendor's APIs that bindings can be driven through: Notify v1, Chat v2 and Conversations v1."""
ChatApi = Literal["chat", "conversations"]
CHAT_APIS: tuple[ChatApi, ...] = ("chat", "conversations")

VanishedPolicy = Literal["dead", "recreate"]
VANISHED_POLICIES: tuple[VanishedPolicy, ...] = ("dead", "recreate")
"""A binding that is gone upstream without our doing: its address is dead, or the binding is made again."""

DEFAULT_PROTOCOL_VERSIONS: Mapping[str, str | None] = MappingProxyType(
    {"apn": "3", "fcm": "3", "gcm": "3", "sms": None, "facebook-messenger": None, "alexa": None}
)
"""By binding type: the version of a binding that names none (the Notify Binding reference)."""


class Upstream(Struct, frozen=True, kw_only=True):
    """A Twilio-compatible service that holds bindings in our place, and how it is to be treated. Times in seconds."""

    api: UpstreamApi
    url: str
    """What stands before ``/v1`` or ``/v2``."""
    sid: str
    """The Service's SID there."""
    user: str
    """The account's SID, or an API key's."""
    secret: str
    connect_timeout: float = 3.0
    timeout: float = 10.0
    """What one request may take, the connection included."""
    longest_request: float = 60.0
    """After so long a request that nobody waits for any more can no longer take effect there."""
    rate: float = 50.0
    """Requests per second that the account may make, all Services and processes together."""
    connections: int = 16
    """Requests under way at the same time, for each Service and process."""
    vanished: VanishedPolicy = "dead"
    listed_ttl: float = 300.0
    """For so long a list of an identity's bindings there counts; 0: lookups never ask it."""
    empty_ttl: float = 30.0
    """The same where it has none."""
    strict: bool = False
    """Chat: whether endpoints that were never registered here are deleted."""

    @property
    def host(self) -> str:
        """What it is called in metrics and traces: the URL's host, with the port if it names one."""
        return urlsplit(self.url).netloc

    def __repr__(self) -> str:
        return f"Upstream({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(field, value) for field, value in structs.asdict(self).items() if field != "secret"]


class ServiceConfig(Struct, frozen=True, kw_only=True):
    """A Service as configured.

    `protocol_versions` has a key for every binding type. `app_tags` are the patterns (`*` any text, `?` any
    character) of the tags that apps may set; servers may set any. Without an upstream, bindings live here.
    """

    sid: str
    chat_sid: str
    name: str
    cap_policy: CapPolicy = "reject"
    protocol_versions: Mapping[str, str | None] = DEFAULT_PROTOCOL_VERSIONS
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    app_tags: tuple[str, ...] = ("*",)
    notify_upstream: Upstream | None = None
    chat_upstream: Upstream | None = None
