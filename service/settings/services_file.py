"""Several Services from a TOML file: one `[[service]]` table each, the environment as default."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from service.domain.services import CAP_POLICIES, DEFAULT_PROTOCOL_VERSIONS, CapPolicy, ServiceConfig, Upstream
from service.settings.faults import Faults
from service.settings.forms import IS_SID, IS_SID_RULE, SERVICE_NAME
from service.settings.upstreams import CHAT_KEYS, NOTIFY_KEYS, Keys, of_table, refuse_contradictions

_KEYS = (
    "sid",
    "chat_sid",
    "name",
    "cap_policy",
    "protocol_versions",
    "jwt_issuer",
    "jwt_audience",
    "app_tags",
    "notify_upstream",
    "chat_upstream",
)
_WHERE = "BINDERY_SERVICES_FILE"


def read_services(path: Path, defaults: Mapping[str, Any], faults: Faults) -> tuple[ServiceConfig, ...]:
    """Every Service of the file, in its order; what is wrong goes to `faults`.

    `defaults` has the values of the environment, by field of `Settings`.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        faults.add(_WHERE, f"must be a readable file in UTF-8 ({type(error).__name__})")
        return ()
    except tomllib.TOMLDecodeError as error:
        faults.add(_WHERE, f"must be TOML: {error}")
        return ()
    for key in sorted(document.keys() - {"service"}):
        faults.add(f"{_WHERE}: {key}", "is unknown; only [[service]] tables are read")
    tables = document.get("service")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        faults.add(_WHERE, "must have at least one [[service]] table")
        return ()
    services = tuple(
        _Table(table, f"{_WHERE}: service {n}", faults).read(defaults) for n, table in enumerate(tables, 1)
    )
    _refuse_repetitions(services, faults)
    refuse_contradictions(services, _WHERE, faults)
    return services


class _Table:
    def __init__(self, table: dict[str, Any], where: str, faults: Faults) -> None:
        self._table, self._where, self._faults = table, where, faults

    def read(self, defaults: Mapping[str, Any]) -> ServiceConfig:
        for key in sorted(self._table.keys() - set(_KEYS)):
            self._faults.add(f"{self._where}: {key}", f"is unknown; the keys are: {', '.join(_KEYS)}")
        sid = self._text("sid", IS_SID, IS_SID_RULE) or ""
        name = self._text("name", SERVICE_NAME, "must be 1 to 64 of: letters, digits, dot, underscore, hyphen") or ""
        for key, value in (("sid", sid), ("name", name)):
            if not value and key not in self._table:
                self._faults.add(f"{self._where}: {key}", "must be set")
        if IS_SID.fullmatch(name):
            self._faults.add(f"{self._where}: name", "must not look like a SID")
        chat_sid = self._text("chat_sid", IS_SID, IS_SID_RULE) or sid
        anything = re.compile(r".+", re.DOTALL)
        return ServiceConfig(
            sid=sid,
            chat_sid=chat_sid,
            name=name,
            cap_policy=self._cap_policy(defaults["cap_policy"]),
            protocol_versions=self._protocol_versions(),
            jwt_issuer=self._text("jwt_issuer", anything, "must be text") or defaults["jwt_issuer"],
            jwt_audience=self._text("jwt_audience", anything, "must be text") or defaults["jwt_audience"],
            app_tags=self._app_tags(defaults["app_tags"]),
            notify_upstream=self._upstream("notify_upstream", NOTIFY_KEYS, defaults, sid),
            chat_upstream=self._upstream("chat_upstream", CHAT_KEYS, defaults, chat_sid),
        )

    def _upstream(self, key: str, keys: Keys, defaults: Mapping[str, Any], sid: str) -> Upstream | None:
        return of_table(self._table.get(key), f"{self._where}: {key}", keys, defaults, sid, self._faults)

    def _text(self, key: str, pattern: re.Pattern[str], rule: str) -> str | None:
        value = self._table.get(key)
        if value is None:
            return None
        if isinstance(value, str) and pattern.fullmatch(value):
            return value
        self._faults.add(f"{self._where}: {key}", rule)
        return None

    def _cap_policy(self, default: CapPolicy) -> CapPolicy:
        value = self._table.get("cap_policy", default)
        for policy in CAP_POLICIES:
            if value == policy:
                return policy
        self._faults.add(f"{self._where}: cap_policy", f"must be one of: {', '.join(CAP_POLICIES)}")
        return default

    def _protocol_versions(self) -> Mapping[str, str | None]:
        value = self._table.get("protocol_versions", {})
        if not isinstance(value, dict):
            self._faults.add(f"{self._where}: protocol_versions", "must be a table of binding type = version")
            return DEFAULT_PROTOCOL_VERSIONS
        for key, version in value.items():
            where = f"{self._where}: protocol_versions.{key}"
            if key not in DEFAULT_PROTOCOL_VERSIONS:
                self._faults.add(where, f"is unknown; the types are: {', '.join(DEFAULT_PROTOCOL_VERSIONS)}")
            elif not isinstance(version, str) or not version:
                self._faults.add(where, 'must be text such as "3"')
        return MappingProxyType({**DEFAULT_PROTOCOL_VERSIONS, **value})

    def _app_tags(self, default: tuple[str, ...]) -> tuple[str, ...]:
        value = self._table.get("app_tags", default)
        if not isinstance(value, list | tuple) or not all(isinstance(tag, str) and tag for tag in value):
            self._faults.add(f"{self._where}: app_tags", 'must be a list of patterns such as ["city-*"]')
            return default
        return tuple(value)


def _refuse_repetitions(services: tuple[ServiceConfig, ...], faults: Faults) -> None:
    owners: dict[str, int] = {}
    for number, service in enumerate(services, 1):
        for what, value in (("sid", service.sid), ("chat_sid", service.chat_sid), ("name", service.name)):
            if value and owners.setdefault(value, number) != number:
                where = f"{_WHERE}: service {number}: {what}"
                faults.add(where, f"must be its own: service {owners[value]} has the same")
