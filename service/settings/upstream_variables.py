"""The settings of upstreams: where the only Service's bindings live, and the defaults of those in a Services file."""

from typing import Annotated

from service.domain.services import CHAT_APIS, VANISHED_POLICIES, ChatApi, VanishedPolicy
from service.settings import rules
from service.settings.operating_variables import OperatingVariables
from service.settings.variable import Var


class UpstreamVariables(OperatingVariables, frozen=True, kw_only=True):
    """What can be set of upstreams in the environment."""

    notify_upstream_url: Annotated[
        str | None,
        Var(
            "BINDERY_NOTIFY_UPSTREAM_URL",
            rules.public_url,
            "Keep Notify bindings at this Twilio-compatible service, such as `https://notify.twilio.com`",
            shown_default="they are kept here",
        ),
    ]
    notify_upstream_sid: Annotated[
        str | None,
        Var(
            "BINDERY_NOTIFY_UPSTREAM_SID",
            rules.service_sid,
            "The Service's SID there",
            shown_default="`BINDERY_SERVICE_SID`",
        ),
    ]
    chat_upstream_url: Annotated[
        str | None,
        Var(
            "BINDERY_CHAT_UPSTREAM_URL",
            rules.public_url,
            "The same for Chat bindings, such as `https://chat.twilio.com`",
            shown_default="they are kept here",
        ),
    ]
    chat_upstream_sid: Annotated[
        str | None,
        Var(
            "BINDERY_CHAT_UPSTREAM_SID",
            rules.service_sid,
            "The Chat Service's SID there",
            shown_default="`BINDERY_CHAT_SERVICE_SID`",
        ),
    ]
    chat_upstream_api: Annotated[
        ChatApi,
        Var(
            "BINDERY_CHAT_UPSTREAM_API",
            rules.choice(*CHAT_APIS),
            "The API to drive it through: `chat` (v2) or `conversations` (v1)",
            "chat",
        ),
    ]
    chat_upstream_strict: Annotated[
        bool,
        Var(
            "BINDERY_CHAT_UPSTREAM_STRICT",
            rules.yes_or_no,
            "`yes` deletes Chat bindings there whose endpoints were never registered here",
            "no",
        ),
    ]
    upstream_user: Annotated[
        str | None,
        Var(
            "BINDERY_UPSTREAM_USER",
            rules.upstream_user,
            "The account at the upstream, `AC…`, or an API key, `SK…`; required with an upstream",
        ),
    ]
    upstream_secret: Annotated[
        str | None,
        Var("BINDERY_UPSTREAM_SECRET", rules.secret(1), "Its password; required with an upstream", secret=True),
    ]
    upstream_connect_timeout: Annotated[
        float,
        Var(
            "BINDERY_UPSTREAM_CONNECT_TIMEOUT",
            rules.seconds(0.05, 60),
            "Seconds that a connection to the upstream may take",
            "3",
        ),
    ]
    upstream_timeout: Annotated[
        float,
        Var(
            "BINDERY_UPSTREAM_TIMEOUT",
            rules.seconds(0.05, 60),
            "Seconds that a request may take, its connection included",
            "10",
        ),
    ]
    upstream_longest_request: Annotated[
        float,
        Var(
            "BINDERY_UPSTREAM_LONGEST_REQUEST",
            rules.seconds(0.1, 500),
            "Seconds after which a request that was given up can no longer take effect there",
            "60",
        ),
    ]
    upstream_rate: Annotated[
        float,
        Var(
            "BINDERY_UPSTREAM_RATE",
            rules.decimal(0.1, 100_000),
            "Requests per second that the account may make, all Services and workers together",
            "50",
        ),
    ]
    upstream_connections: Annotated[
        int,
        Var(
            "BINDERY_UPSTREAM_CONNECTIONS",
            rules.integer(1, 1000),
            "Requests that a process may have under way at an upstream of a Service",
            "16",
        ),
    ]
    upstream_vanished: Annotated[
        VanishedPolicy,
        Var(
            "BINDERY_UPSTREAM_VANISHED",
            rules.choice(*VANISHED_POLICIES),
            "A binding that has gone there by itself: its address is `dead`, or `recreate` it",
            "dead",
        ),
    ]
    upstream_listed_ttl: Annotated[
        float,
        Var(
            "BINDERY_UPSTREAM_LISTED_TTL",
            rules.seconds(0, 86_400),
            "Seconds for which a lookup does not ask for an identity's Notify bindings there again; `0`: lookups never"
            " ask there",
            "300",
        ),
    ]
    upstream_empty_ttl: Annotated[
        float,
        Var(
            "BINDERY_UPSTREAM_EMPTY_TTL",
            rules.seconds(1, 86_400),
            "The same where it has none",
            "30",
        ),
    ]
