"""Every setting, declared once: its variable, type, default, rule and the line the README shows."""

from pathlib import Path
from typing import Annotated, Any

from service.domain.services import CAP_POLICIES, CapPolicy, ServiceConfig
from service.settings import rules, store_url
from service.settings.api_key import ApiKey
from service.settings.forms import AC_SID
from service.settings.upstream_variables import UpstreamVariables
from service.settings.variable import Var, declared


class Settings(UpstreamVariables, frozen=True, kw_only=True):
    """All settings, checked. What was left empty counts as not set."""

    host: Annotated[str, Var("BINDERY_HOST", rules.host, "Address to listen on", "127.0.0.1")]
    port: Annotated[
        int, Var("BINDERY_PORT", rules.integer(0, 65535), "TCP port to listen on; 0 takes a free one", "8080")
    ]
    public_url: Annotated[
        str | None,
        Var(
            "BINDERY_PUBLIC_URL",
            rules.public_url,
            "What clients see before every path, in URLs of answers",
            shown_default="from the request",
        ),
    ]
    trusted_proxies: Annotated[
        tuple[rules.Network, ...],
        Var(
            "BINDERY_TRUSTED_PROXIES",
            rules.networks,
            "Networks (CIDR, comma-separated) whose forwarded headers are believed",
            shown_default="none",
        ),
    ]
    secrets_dir: Annotated[
        Path | None,
        Var(
            "BINDERY_SECRETS_DIR",
            rules.path,
            "Directory of files named as these variables, each with a value; a variable goes before its file",
        ),
    ]
    data_dir: Annotated[
        Path,
        Var("BINDERY_DATA_DIR", rules.path, "Where `bindery up` keeps its data and credentials", ".bindery"),
    ]
    redis_url: Annotated[
        str,
        Var(
            "BINDERY_REDIS_URL",
            store_url.store_url,
            "The store: `redis://`, `rediss://` or `unix://`; `redis+sentinel://user:pw@h1:26379,h2:26379/master/0`;"
            " `redis+cluster://h1:6379,h2:6379`; both also as `rediss+…`",
            required=True,
            secret=True,
            shown_default="the embedded Valkey of `bindery up`",
        ),
    ]
    queue_url: Annotated[
        str,
        Var(
            "BINDERY_QUEUE_URL",
            store_url.queue_url,
            "The job queue, in the same forms; required, and not a Cluster, when the store is a Cluster",
            secret=True,
            shown_default="`BINDERY_REDIS_URL`",
        ),
    ]
    redis_timeout: Annotated[
        float,
        Var(
            "BINDERY_REDIS_TIMEOUT",
            rules.seconds(0.05, 60),
            "Seconds that one call to the store may take",
            "1.5",
        ),
    ]
    redis_replicas: Annotated[
        int,
        Var(
            "BINDERY_REDIS_REPLICAS",
            rules.integer(0, 9),
            "Replicas of the store that must confirm whatever is answered, or it is answered 503",
            "0",
        ),
    ]
    secret_key: Annotated[
        str,
        Var(
            "BINDERY_SECRET_KEY",
            rules.secret(32),
            "The key of the fingerprints, 32 bytes or more; a store keeps to the key it was begun with",
            required=True,
            secret=True,
        ),
    ]
    account_sid: Annotated[
        str,
        Var(
            "BINDERY_ACCOUNT_SID",
            rules.matching(AC_SID, "must be AC and 32 hex digits"),
            "The account: `AC` and 32 hex digits",
            required=True,
        ),
    ]
    auth_token: Annotated[
        str,
        Var(
            "BINDERY_AUTH_TOKEN",
            rules.secret(8),
            "The account's password, 8 bytes or more",
            required=True,
            secret=True,
        ),
    ]
    auth_token_old: Annotated[
        str | None,
        Var("BINDERY_AUTH_TOKEN_OLD", rules.secret(8), "Also accepted, while servers change over", secret=True),
    ]
    api_keys: Annotated[
        tuple[ApiKey, ...],
        Var(
            "BINDERY_API_KEYS",
            rules.api_keys,
            "Further servers: `SK…:secret`, comma-separated; several to rotate",
            secret=True,
            shown_default="none",
        ),
    ]
    jwt_secret: Annotated[
        str,
        Var(
            "BINDERY_JWT_SECRET",
            rules.secret(32),
            "HS256 secret of the apps' tokens, 32 bytes or more",
            required=True,
            secret=True,
        ),
    ]
    jwt_secret_old: Annotated[
        str | None,
        Var(
            "BINDERY_JWT_SECRET_OLD",
            rules.secret(32),
            "Also accepted, while the issuer changes over",
            secret=True,
        ),
    ]
    jwt_max_ttl: Annotated[
        int,
        Var(
            "BINDERY_JWT_MAX_TTL",
            rules.integer(60, 31_536_000),
            "Longest life of an app's token in seconds; longer ones are refused",
            "86400",
        ),
    ]
    jwt_issuer: Annotated[
        str | None,
        Var(
            "BINDERY_JWT_ISSUER",
            rules.text,
            "The `iss` that app tokens must have",
            shown_default="not checked",
        ),
    ]
    jwt_audience: Annotated[
        str | None,
        Var(
            "BINDERY_JWT_AUDIENCE",
            rules.text,
            "The `aud` that app tokens must have",
            shown_default="not checked",
        ),
    ]
    service_sid: Annotated[
        str | None,
        Var(
            "BINDERY_SERVICE_SID",
            rules.service_sid,
            "The Service: `IS` and 32 hex digits; required without a Services file",
        ),
    ]
    chat_service_sid: Annotated[
        str | None,
        Var("BINDERY_CHAT_SERVICE_SID", rules.service_sid, "Its Chat Service", shown_default="`BINDERY_SERVICE_SID`"),
    ]
    services_file: Annotated[
        Path | None,
        Var(
            "BINDERY_SERVICES_FILE",
            rules.path,
            "TOML file of several Services, in place of the two above and of all `BINDERY_NOTIFY_UPSTREAM_…` and"
            " `BINDERY_CHAT_UPSTREAM_…`",
        ),
    ]
    cap_policy: Annotated[
        CapPolicy,
        Var(
            "BINDERY_CAP_POLICY",
            rules.choice(*CAP_POLICIES),
            "The 21st address of an identity: `reject` it, or `replace-oldest`, which drops the one not seen for"
            " longest",
            "reject",
        ),
    ]
    stale_days: Annotated[
        int,
        Var(
            "BINDERY_STALE_DAYS",
            rules.integer(0, 36_500),
            "Push registrations whose device has not registered for so many days are removed; 0 keeps them",
            "0",
        ),
    ]
    app_tags: Annotated[
        tuple[str, ...],
        Var(
            "BINDERY_APP_TAGS",
            rules.words,
            "Patterns (`*` any text, `?` any character) of the tags that apps may set, comma-separated; servers may set"
            " any",
            "*",
        ),
    ]
    events_max: Annotated[
        int,
        Var("BINDERY_EVENTS_MAX", rules.integer(1, 100_000_000), "Events kept per Service, about", "10000"),
    ]
    api_processes: Annotated[
        int, Var("BINDERY_API_PROCESSES", rules.integer(1, 256), "API processes under `bindery up`", "1")
    ]
    worker_processes: Annotated[
        int,
        Var("BINDERY_WORKER_PROCESSES", rules.integer(1, 256), "Worker processes under `bindery up`", "1"),
    ]
    services: tuple[ServiceConfig, ...]
    """Every Service; the first is the default."""

    @property
    def auth_tokens(self) -> tuple[str, ...]:
        """The accepted passwords of the account, the new one first."""
        return (self.auth_token,) if self.auth_token_old is None else (self.auth_token, self.auth_token_old)

    @property
    def jwt_secrets(self) -> tuple[str, ...]:
        """The accepted HS256 secrets, the new one first."""
        return (self.jwt_secret,) if self.jwt_secret_old is None else (self.jwt_secret, self.jwt_secret_old)

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        shown = [field for field, var in VARIABLES.items() if not var.secret]
        return [(field, getattr(self, field)) for field in (*shown, "services")]

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{field}={value!r}' for field, value in self.__rich_repr__())})"


VARIABLES = declared(Settings)
"""Field of `Settings` -> how it is read, in the order the README shows."""
