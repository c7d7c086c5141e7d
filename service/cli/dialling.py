"""A redis-py client for any of the URLs that the settings take; for the command line, one call at a time."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import redis
from redis.cluster import ClusterNode, RedisCluster
from redis.sentinel import Sentinel

from service.redis.url import TCP, Target, parse


def dial(url: str, timeout: float) -> Any:
    """A client of the server, of the Sentinels' master, or of the Cluster, at `url`.

    Raises:
        redis.RedisError, OSError: it cannot be reached, or refuses the login.
    """
    target = parse(url)
    limits: dict[str, Any] = {"socket_timeout": timeout, "socket_connect_timeout": timeout}
    if target.kind == "single":
        return redis.Redis.from_url(url, **limits, decode_responses=True)
    tls = _tls(url) if target.tls is not None else {}
    login = {"username": target.login.username, "password": target.login.password}
    hosts = [(at.host, at.port) for at in target.addresses if isinstance(at, TCP)]
    common = {**limits, **tls, **login, "decode_responses": True}
    if target.kind == "cluster":
        return RedisCluster(startup_nodes=[ClusterNode(host, port) for host, port in hosts], **common)
    sentinel = Sentinel(hosts, sentinel_kwargs={**limits, **tls, **_sentinel_login(target)})
    return sentinel.master_for(target.primary_name, db=target.login.db, **common)


def _tls(url: str) -> dict[str, Any]:
    return {"ssl": True, **{k: v for k, v in parse_qsl(urlsplit(url).query) if k.startswith("ssl_")}}


def _sentinel_login(target: Target) -> dict[str, str | None]:
    return {"username": target.sentinel_login.username, "password": target.sentinel_login.password}
