"""The queue's connections, made as arq wants them from the URLs that our settings take."""

from __future__ import annotations

from typing import Any

import msgspec
from arq.connections import ArqRedis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.queue import QUEUE
from service.redis.tls_options import tls_options
from service.redis.url import TCP, Target, Unix, parse

# For a hiccup, not for an outage: that is the supervisor's to wait for, and what it starts anew is clean.
_RETRIES, _LONGEST_PAUSE, _FIRST_PAUSE = 3, 0.2, 0.02
_RETRIED: list[type[Exception]] = [RedisConnectionError, RedisTimeoutError, OSError]
_CONNECT_SECONDS = 1.0


def open_queue(url: str, *, timeout: float) -> ArqRedis:
    """An arq client of the queue at ``url``; it connects when first used.

    ``timeout`` is how long, in seconds, a reply may take, blocking commands' own waits included.
    """
    target = parse(url)
    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": min(timeout, _CONNECT_SECONDS),
        "retry": Retry(ExponentialBackoff(cap=_LONGEST_PAUSE, base=_FIRST_PAUSE), _RETRIES),
        "retry_on_error": _RETRIED,
        **(tls_options(url) if target.tls is not None else {}),
    }
    login: dict[str, Any] = {
        "username": target.login.username,
        "password": target.login.password,
        "db": target.login.db,
    }
    if target.kind == "sentinel":
        return _arranged(_through_sentinels(target, options, login))
    (address,) = target.addresses
    if isinstance(address, Unix):
        return _arranged(ArqRedis(unix_socket_path=address.path, **options, **login))
    return _arranged(ArqRedis(host=address.host, port=address.port, **options, **login))


async def close_queue(queue: ArqRedis) -> None:
    """Close every connection of it, those to Sentinels included, which redis-py leaves open."""
    await queue.aclose(close_connection_pool=True)
    watchers = getattr(queue.connection_pool, "sentinel_manager", None)
    for sentinel in watchers.sentinels if watchers is not None else ():
        await sentinel.aclose(close_connection_pool=True)


def _through_sentinels(target: Target, options: dict[str, Any], login: dict[str, Any]) -> ArqRedis:
    hosts = [(at.host, at.port) for at in target.addresses if isinstance(at, TCP)]
    # Sentinels are many: one that does not answer is passed over, not asked again.
    asking = {name: value for name, value in options.items() if not name.startswith("retry")}
    asking |= {"username": target.sentinel_login.username, "password": target.sentinel_login.password}
    sentinel = Sentinel(hosts, sentinel_kwargs=asking)
    found: ArqRedis = sentinel.master_for(target.primary_name, redis_class=ArqRedis, **options, **login)
    return found


def _arranged(queue: ArqRedis) -> ArqRedis:
    # Pickle, arq's default, would run what anybody put on the queue.
    queue.job_serializer = msgspec.msgpack.encode
    queue.job_deserializer = msgspec.msgpack.decode
    queue.default_queue_name = QUEUE
    return queue
