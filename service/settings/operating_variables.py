"""The settings of operating: how processes stop, what they tell of themselves, and where."""

from typing import Annotated

from msgspec import Struct

from service.settings import rules
from service.settings.variable import Var


class OperatingVariables(Struct, frozen=True, kw_only=True):
    """What can be set of it in the environment."""

    shutdown_grace: Annotated[
        int,
        Var(
            "BINDERY_SHUTDOWN_GRACE",
            rules.integer(1, 3600),
            "Seconds that work in hand has when stopping",
            "10",
        ),
    ]
    shutdown_delay: Annotated[
        int,
        Var(
            "BINDERY_SHUTDOWN_DELAY",
            rules.integer(0, 600),
            "Seconds before that in which a stopping API, no longer ready, still takes requests: what a load balancer"
            " needs to notice",
            "0",
        ),
    ]
    keep_alive: Annotated[
        int,
        Var(
            "BINDERY_KEEP_ALIVE",
            rules.integer(1, 3600),
            "Seconds that an idle connection is kept; longer than a proxy in front keeps it, or requests meet its end",
            "75",
        ),
    ]
    metrics_host: Annotated[
        str,
        Var("BINDERY_METRICS_HOST", rules.host, "Address of the listener for metrics and probes", "127.0.0.1"),
    ]
    metrics_port: Annotated[
        int | None,
        Var(
            "BINDERY_METRICS_PORT",
            rules.integer(0, 65535),
            "TCP port of `/metrics`, `/livez` and `/readyz`, apart from the API's and without credentials; 0 takes a"
            " free one",
            shown_default="no listener",
        ),
    ]
    traces: Annotated[
        str,
        Var(
            "BINDERY_TRACES",
            rules.traces,
            "`otlp` sends traces as the variables of OpenTelemetry say (`OTEL_…`); needs the extra `otel`",
            "none",
        ),
    ]
    log_level: Annotated[
        str,
        Var(
            "BINDERY_LOG_LEVEL",
            rules.choice("debug", "info", "warning", "error"),
            "`debug`, `info`, `warning` or `error`",
            "info",
        ),
    ]
    log_format: Annotated[
        str,
        Var(
            "BINDERY_LOG_FORMAT",
            rules.choice("auto", "json", "text"),
            "`json`, `text`, or `auto`: text on a terminal",
            "auto",
        ),
    ]
