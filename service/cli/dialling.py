"""A redis-py client for any of the URLs that the settings take; for the command line, one call at a time."""

from typing import Any

import redis
from redis.cluster import ClusterNode, RedisCluster
from redis.sentinel import Sentinel

from service.redis.tls_options import tls_options
from service.redis.url import TCP, Target, Unix, parse


def dial(url: str, timeout: float) -> Any:
    """A client of the server, of the Sentinels' master, or of the Cluster, at `url`.

    Raises:
        redis.RedisError, OSError: it cannot be reached, or refuses the login.
    """
    target = parse(url)
    limits: dict[str, Any] = {"socket_timeout": timeout, "socket_connect_timeout": timeout}
    tls = tls_options(url) if target.tls is not None else {}
    login: dict[str, Any] = {"username": target.login.username, "password": target.login.password}
    if target.kind == "single":
        # Not from_url(): what it makes of a password that is not percent-encoded is another, and its errors quote it.
        (at,) = target.addresses
        where: dict[str, Any] = (
            {"unix_socket_path": at.path} if isinstance(at, Unix) else {"host": at.host, "port": at.port}
        )
        return redis.Redis(**where, **limits, **tls, **login, db=target.login.db, decode_responses=True)
    hosts = [(at.host, at.port) for at in target.addresses if isinstance(at, TCP)]
    common = {**limits, **tls, **login, "decode_responses": True}
    if target.kind == "cluster":
        return RedisCluster(startup_nodes=[ClusterNode(host, port) for host, port in hosts], **common)
    sentinel = Sentinel(hosts, sentinel_kwargs={**limits, **tls, **_sentinel_login(target)})
    return sentinel.master_for(target.primary_name, db=target.login.db, **common)


def _sentinel_login(target: Target) -> dict[str, str | None]:
    return {"username": target.sentinel_login.username, "password": target.sentinel_login.password}
