"""Upstreams: from the environment for the only Service, or from a Service's tables in the file."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from service.domain.services import CHAT_APIS, ServiceConfig, Upstream
from service.settings import rules
from service.settings.faults import Faults
from service.settings.upstream_variables import UpstreamVariables
from service.settings.variable import declared


class _Key(NamedTuple):
    read: Callable[[str], object]
    types: tuple[type, ...] = (str,)


_NUMBER = (int, float)
_DEFAULTS: dict[str, tuple[type, ...]] = {
    "user": (str,),
    "secret": (str,),
    "connect_timeout": _NUMBER,
    "timeout": _NUMBER,
    "longest_request": _NUMBER,
    "rate": _NUMBER,
    "connections": (int,),
    "vanished": (str,),
    "listed_ttl": _NUMBER,
    "empty_ttl": _NUMBER,
}
"""What the environment has for all upstreams, and the types that a table may have it in."""

_VARIABLES = declared(UpstreamVariables)
_SHARED = {
    "url": _Key(rules.public_url),
    "sid": _Key(rules.service_sid),
    **{key: _Key(_VARIABLES[f"upstream_{key}"].read, types) for key, types in _DEFAULTS.items()},
}
Keys: TypeAlias = Mapping[str, _Key]
NOTIFY_KEYS: Keys = _SHARED
"""Keys of a Service's `notify_upstream` table, and how each is read."""
CHAT_KEYS: Keys = {**_SHARED, "api": _Key(rules.choice(*CHAT_APIS)), "strict": _Key(rules.yes_or_no, (bool,))}
"""Those of its `chat_upstream` table."""


def _defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: values[f"upstream_{key}"] for key in _DEFAULTS}


def of_environment(values: Mapping[str, Any], faults: Faults) -> tuple[Upstream | None, Upstream | None]:
    """The upstreams of the only Service, for Notify and for Chat; `values` has those of the environment by field."""
    notify = chat = None
    if values["notify_upstream_url"] is not None:
        found = {"url": values["notify_upstream_url"], "sid": values["notify_upstream_sid"] or values["service_sid"]}
        notify = _upstream({"api": "notify", **_defaults(values), **found}, _variable, faults)
    if values["chat_upstream_url"] is not None:
        found = {"url": values["chat_upstream_url"], "sid": values["chat_upstream_sid"] or values["chat_service_sid"]}
        own = {"api": values["chat_upstream_api"], "strict": values["chat_upstream_strict"]}
        # Named once where both have the same fault.
        chat = _upstream({**_defaults(values), **found, **own}, _variable, faults if notify is None else Faults())
    return notify, chat


def _variable(key: str) -> str:
    return f"BINDERY_UPSTREAM_{key.upper()}"


def of_table(
    table: object, where: str, keys: Keys, values: Mapping[str, Any], sid: str, faults: Faults
) -> Upstream | None:
    """The upstream of one table, None without a table; what it leaves out comes from the environment, or is `sid`."""
    if table is None:
        return None
    if not isinstance(table, dict):
        faults.add(where, f"must be a table with the keys: {', '.join(keys)}")
        return None
    found: dict[str, Any] = {"api": "notify" if keys is NOTIFY_KEYS else "chat", **_defaults(values), "sid": sid}
    for name, value in table.items():
        if name not in keys:
            faults.add(f"{where}.{name}", f"is unknown; the keys are: {', '.join(keys)}")
            continue
        try:
            found[name] = _read(keys[name], value)
        except ValueError as error:
            faults.add(f"{where}.{name}", str(error))
            found[name] = None
    if "url" not in found:
        faults.add(f"{where}.url", "must be set")
        return None
    return _upstream(found, lambda key: f"{where}.{key}", faults)


def _read(key: _Key, value: object) -> object:
    if isinstance(value, bool) and bool in key.types:
        return value
    if isinstance(value, bool) or not isinstance(value, key.types):
        names = {str: "text", int: "a whole number", bool: "true or false"}
        raise ValueError("must be a number" if key.types is _NUMBER else f"must be {names[key.types[0]]}")
    return key.read(str(value))


def _upstream(found: dict[str, Any], where: Callable[[str], str], faults: Faults) -> Upstream | None:
    for key in ("user", "secret"):
        if found[key] is None and not faults.named(where(key)):
            faults.add(where(key), "must be set for an upstream")
    if any(value is None for value in found.values()):
        return None
    if found["timeout"] < found["connect_timeout"]:
        faults.add(where("timeout"), "must not be shorter than the connection's timeout, which it includes")
    if found["longest_request"] < found["timeout"]:
        faults.add(where("longest_request"), "must not be shorter than the timeout of a request")
    return Upstream(**found)


def refuse_contradictions(services: tuple[ServiceConfig, ...], where: str, faults: Faults) -> None:
    """One account has one rate, and one Service there belongs to one Service here."""
    rates: dict[tuple[str, str], float] = {}
    owners: dict[tuple[str, str, str], str] = {}
    for service in services:
        for upstream in (service.notify_upstream, service.chat_upstream):
            if upstream is None:
                continue
            if rates.setdefault((upstream.url, upstream.user), upstream.rate) != upstream.rate:
                faults.add(where, f"service {service.name}: its upstream's rate must be the same for all of an account")
            place = "notify" if upstream.api == "notify" else "chat", upstream.url, upstream.sid
            if owners.setdefault(place, service.name) != service.name:
                faults.add(where, f"service {service.name}: {owners[place]} has the same Service at its upstream")
