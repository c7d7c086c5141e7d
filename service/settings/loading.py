"""From the environment to `Settings`, with every fault named at once."""

import difflib
from collections.abc import Mapping
from typing import Any

from service.domain.services import ServiceConfig
from service.settings import store_url
from service.settings.faults import Faults
from service.settings.model import VARIABLES, Settings
from service.settings.secret_files import SECRETS_DIR, with_files
from service.settings.services_file import read_services
from service.settings.upstreams import of_environment, refuse_contradictions

PREFIX = "BINDERY_"
LISTEN_FD = "BINDERY_LISTEN_FD"
"""Not a setting: `bindery up` hands its listening socket to its API processes with it."""
METRICS_FD = "BINDERY_METRICS_FD"
"""Not a setting: likewise the socket of the metrics, which all its processes share."""

_NAMES = tuple(var.name for var in VARIABLES.values())
_OF_THE_ONLY_SERVICE = (
    "BINDERY_SERVICE_SID",
    "BINDERY_CHAT_SERVICE_SID",
    *(name for name in _NAMES if name.startswith(("BINDERY_NOTIFY_UPSTREAM_", "BINDERY_CHAT_UPSTREAM_"))),
)
_WITHOUT_VALUE: dict[str, Any] = {"trusted_proxies": (), "api_keys": ()}


def load(environ: Mapping[str, str], *, certificates: bool = True) -> Settings:
    """Read every setting from `environ` and the directory of secrets, and the Services from their file if one is named.

    Without `certificates` the files of TLS that a URL names may lie elsewhere.

    Raises:
        SettingsError: with all faults; no value of a variable is repeated in it.
    """
    faults = Faults()
    environ = with_files(environ, PREFIX, faults)
    _refuse_unknown(environ, faults)
    values: dict[str, Any] = {}
    for field, var in VARIABLES.items():
        given = environ.get(var.name) or var.default
        values[field] = _WITHOUT_VALUE.get(field)
        if given is not None:
            try:
                values[field] = var.read(given)
            except ValueError as error:
                faults.add(var.name, str(error))
        elif var.required:
            where = f" or be a file of that name in {environ[SECRETS_DIR]}" if environ.get(SECRETS_DIR) else ""
            faults.add(var.name, f"must be set{where} ({var.doc})")
    if certificates:
        urls = {"BINDERY_REDIS_URL": values["redis_url"], "BINDERY_QUEUE_URL": values["queue_url"]}
        store_url.read_certificates(urls, faults)
    if values["queue_url"] is None and not environ.get("BINDERY_QUEUE_URL"):
        values["queue_url"] = values["redis_url"]
        if store_url.is_cluster(values["redis_url"] or ""):
            faults.add("BINDERY_QUEUE_URL", "must be set, and not to a Cluster, when the store is a Cluster")
    services = _services(environ, values, faults)
    faults.raise_if_any()
    return Settings(services=services, **values)


def _services(environ: Mapping[str, str], values: dict[str, Any], faults: Faults) -> tuple[ServiceConfig, ...]:
    if values["services_file"] is not None:
        for name in _OF_THE_ONLY_SERVICE:
            if environ.get(name):
                faults.add(name, "must not be set beside BINDERY_SERVICES_FILE")
        if any(values[field] is None for field in ("cap_policy", "app_tags")):
            return ()  # the defaults of the file are at fault themselves
        return read_services(values["services_file"], values, faults)
    if not environ.get("BINDERY_SERVICE_SID"):
        faults.add("BINDERY_SERVICE_SID", "must be set, or BINDERY_SERVICES_FILE")
    if any(values[field] is None for field in ("service_sid", "cap_policy", "app_tags")):
        return ()
    values["chat_service_sid"] = values["chat_service_sid"] or values["service_sid"]
    notify_upstream, chat_upstream = of_environment(values, faults)
    only = ServiceConfig(
        sid=values["service_sid"],
        chat_sid=values["chat_service_sid"],
        name="default",
        cap_policy=values["cap_policy"],
        jwt_issuer=values["jwt_issuer"],
        jwt_audience=values["jwt_audience"],
        app_tags=values["app_tags"],
        notify_upstream=notify_upstream,
        chat_upstream=chat_upstream,
    )
    refuse_contradictions((only,), "BINDERY_UPSTREAM_RATE", faults)
    return (only,)


def _refuse_unknown(environ: Mapping[str, str], faults: Faults) -> None:
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in _NAMES and name not in (LISTEN_FD, METRICS_FD):
            nearest = difflib.get_close_matches(name, _NAMES, n=1, cutoff=0.0)[0]
            faults.add(name, f"is unknown; the nearest is {nearest}")
