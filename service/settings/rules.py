"""Readers of single values: each turns text into its type, or raises ValueError with the rule it breaks.

The text itself never goes into the message: it may be a secret.
"""

import ipaddress
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from service.settings.api_key import ApiKey
from service.settings.forms import IS_SID, IS_SID_RULE, SK_SID, UPSTREAM_USER, UPSTREAM_USER_RULE

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_HOST = re.compile(r"[A-Za-z0-9.:_%-]+")


def text(value: str) -> str:
    """Any text."""
    return value


def path(value: str) -> Path:
    """A path; `~` is the home directory."""
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise ValueError("must not begin with ~ where there is no such home directory") from error


def host(value: str) -> str:
    """A host name or an IP address, without a port."""
    if not _HOST.fullmatch(value):
        raise ValueError("must be a host name or an IP address")
    return value


def integer(low: int, high: int) -> Callable[[str], int]:
    """A whole number from `low` to `high`."""

    def read(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", value) or not low <= int(value) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(value)

    return read


def seconds(low: float, high: float) -> Callable[[str], float]:
    """A duration in seconds, decimals allowed, from `low` to `high`."""

    def read(value: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value) or not low <= float(value) <= high:
            raise ValueError(f"must be a number of seconds from {low:g} to {high:g}")
        return float(value)

    return read


def decimal(low: float, high: float) -> Callable[[str], float]:
    """A number from `low` to `high`, decimals allowed."""

    def read(value: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value) or not low <= float(value) <= high:
            raise ValueError(f"must be a number from {low:g} to {high:g}")
        return float(value)

    return read


def yes_or_no(value: str) -> bool:
    """`yes` or `no`."""
    if value not in ("yes", "no"):
        raise ValueError("must be yes or no")
    return value == "yes"


def choice(*words: str) -> Callable[[str], str]:
    """One of `words`."""

    def read(value: str) -> str:
        if value not in words:
            raise ValueError(f"must be one of: {', '.join(words)}")
        return value

    return read


def traces(value: str) -> str:
    """`none`, or `otlp`, which needs what the extra `otel` installs."""
    if choice("none", "otlp")(value) == "otlp":
        for package in ("opentelemetry", "opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"):
            if find_spec(package) is None:
                raise ValueError("must be none: OpenTelemetry is not installed (pip install -r requirements/otel.txt)")
    return value


def matching(pattern: re.Pattern[str], rule: str) -> Callable[[str], str]:
    """Text that matches all of `pattern`."""

    def read(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(rule)
        return value

    return read


service_sid = matching(IS_SID, IS_SID_RULE)
"""A Service's SID."""

upstream_user = matching(UPSTREAM_USER, UPSTREAM_USER_RULE)
"""Who one is at an upstream: an account's SID, or an API key's."""


def secret(minimum: int) -> Callable[[str], str]:
    """A secret of at least `minimum` bytes of UTF-8."""

    def read(value: str) -> str:
        if len(value.encode(errors="surrogateescape")) < minimum:
            raise ValueError(f"must have at least {minimum} bytes")
        return value

    return read


def words(value: str) -> tuple[str, ...]:
    """Comma-separated, without empty parts."""
    parts = tuple(part.strip() for part in value.split(","))
    if not all(parts):
        raise ValueError("must be comma-separated, without empty parts")
    return parts


def api_keys(value: str) -> tuple[ApiKey, ...]:
    """Comma-separated `SK…:secret`."""
    keys = []
    for part in words(value):
        sid, _, key_secret = part.partition(":")
        if not SK_SID.fullmatch(sid) or not key_secret:
            raise ValueError("must be comma-separated pairs of SK and 32 hex digits, a colon, and the secret")
        keys.append(ApiKey(sid=sid, secret=key_secret))
    return tuple(keys)


def networks(value: str) -> tuple[Network, ...]:
    """Comma-separated IP networks in CIDR notation."""
    try:
        return tuple(ipaddress.ip_network(part) for part in words(value))
    except ValueError as error:
        raise ValueError("must be comma-separated networks such as 10.0.0.0/8") from error


def public_url(value: str) -> str:
    """An http or https URL, as clients see it; answered without a slash at its end."""
    rule = "must be an http:// or https:// URL without user, query or fragment"
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise ValueError(rule) from error
    if not usable or "@" in parts.netloc or parts.query or parts.fragment or re.search(r"\s", value):
        raise ValueError(rule)
    return value.rstrip("/")
