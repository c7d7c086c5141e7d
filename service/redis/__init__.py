"""An asyncio client for one job: Lua scripts and single commands over one pipelined connection per server."""

from __future__ import annotations

from service.redis.call import Reply
from service.redis.client import Redis
from service.redis.cluster import ClusterRedis
from service.redis.dial import Dialer
from service.redis.errors import (
    NotSent,
    OutcomeUnknown,
    Overloaded,
    RedisError,
    Refused,
    ReplyError,
    Unavailable,
)
from service.redis.info import info_of
from service.redis.script import Script
from service.redis.sentinel import SentinelDialer
from service.redis.single import SingleRedis
from service.redis.url import TCP, parse

__all__ = [
    "NotSent",
    "OutcomeUnknown",
    "Overloaded",
    "Redis",
    "RedisError",
    "Refused",
    "Reply",
    "ReplyError",
    "Script",
    "Unavailable",
    "connect",
    "info_of",
]

#: Seconds for one attempt at a connection, and for one question about where the primary is.
_CONNECT_TIMEOUT = 1.0
_PROBE_TIMEOUT = 0.5


def connect(url: str, *, timeout: float = 1.5, client_name: str = "bindery", replicas: int = 0) -> Redis:
    """A client for a URL of the forms in `service.redis.url`. Connects at the first call, and ever again.

    `timeout` is each call's default, in seconds. With `replicas`, that many must confirm whatever a call answers; all
    keys that calls name are then hashes. Raises ValueError for an unusable URL or TLS file.
    """
    target = parse(url)
    dialer = Dialer(target.login, target.tls, client_name, _CONNECT_TIMEOUT)
    if target.kind == "cluster":
        seeds = tuple(address for address in target.addresses if isinstance(address, TCP))
        probe = Dialer(target.login, target.tls, client_name, _PROBE_TIMEOUT)
        return ClusterRedis(seeds, dialer, probe, timeout, replicas)
    if target.kind == "sentinel":
        ask = Dialer(target.sentinel_login, target.tls, client_name, _PROBE_TIMEOUT)
        return SingleRedis(SentinelDialer(target.addresses, target.primary_name, ask, dialer).open, timeout, replicas)
    (address,) = target.addresses
    return SingleRedis(lambda: dialer.open(address), timeout, replicas)
