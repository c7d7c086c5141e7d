"""Rules for the URLs of Redis or Valkey: one server, a Unix socket, Sentinels, or a Cluster."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from service.redis.url import parse
from service.settings.faults import Faults

ONE_SERVER = frozenset({"redis", "rediss"})
SENTINEL = frozenset({"redis+sentinel", "rediss+sentinel"})
CLUSTER = frozenset({"redis+cluster", "rediss+cluster"})
SCHEMES = (*sorted(ONE_SERVER), "unix", *sorted(SENTINEL), *sorted(CLUSTER))

_HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?")


def is_cluster(url: str) -> bool:
    """Whether `url` names a Redis Cluster."""
    return url.partition("://")[0] in CLUSTER


def store_url(value: str) -> str:
    """A URL of a Redis or Valkey; several hosts are allowed for Sentinels and Clusters only.

    Raises:
        ValueError: the rule that the URL breaks; never the URL, which may hold a password.
    """
    scheme, separator, rest = value.partition("://")
    if not separator or scheme not in SCHEMES:
        raise ValueError(f"must be a URL that begins with one of: {', '.join(f'{s}://' for s in SCHEMES)}")
    if scheme == "unix":
        if not urlsplit(value).path.startswith("/") or urlsplit(value).path == "/":
            raise ValueError("must be unix:// and an absolute path")
        _check_parameters(value)
        return value
    netloc, _, path = rest.partition("?")[0].partition("/")
    hosts = netloc.rpartition("@")[2].split(",")
    if not all(_is_host(part) for part in hosts):
        raise ValueError("must name its hosts as host or host:port, comma-separated where several are allowed")
    if scheme in ONE_SERVER and (len(hosts) > 1 or not re.fullmatch(r"[0-9]{0,4}", path)):
        raise ValueError(f"must be {scheme}://host:port or {scheme}://host:port/database")
    if scheme in SENTINEL and not re.fullmatch(r"[A-Za-z0-9._-]+(/[0-9]{0,4})?", path):
        raise ValueError(f"must be {scheme}://host:port,…/name-of-the-master or …/name-of-the-master/database")
    if scheme in CLUSTER and path.strip("/") not in {"", "0"}:
        raise ValueError("must not name a database: a Cluster has only database 0")
    _check_parameters(value)
    return value


def _check_parameters(value: str) -> None:
    # What follows the question mark, by who connects with it. The files of TLS need not be where settings are read.
    try:
        parse(value, files=False)
    except ValueError as error:
        raise ValueError(f"must be one to connect with: {error}") from None


def queue_url(value: str) -> str:
    """As `store_url`, but never a Cluster: arq has no support for one.

    Raises:
        ValueError: the rule that the URL breaks.
    """
    if is_cluster(store_url(value)):
        raise ValueError("must not be a Cluster: arq does not support one; name another Redis or Valkey")
    return value


def read_certificates(urls: Mapping[str, str | None], faults: Faults) -> None:
    """Note every variable whose URL names files of TLS that cannot be used."""
    for name, url in urls.items():
        try:
            if url is not None:
                parse(url)
        except ValueError as error:
            faults.add(name, f"must be one to connect with: {error}")


def _is_host(part: str) -> bool:
    found = _HOST.fullmatch(part)
    return found is not None and (found["port"] is None or 0 < int(found["port"]) < 65536)
