"""Looks at a Redis or Valkey: its version, and the settings of it that Bindery depends on."""

from collections.abc import Iterator
from typing import Any, ClassVar

import redis
from msgspec import Struct
from redis.cluster import RedisCluster

from service.cli.dialling import dial
from service.store.section import NO_EVICTION


class Finding(Struct, frozen=True):
    """One line of the report; a fault says how to mend it."""

    OK: ClassVar[str] = "ok"
    NOTE: ClassVar[str] = "note"
    FAULT: ClassVar[str] = "FAULT"

    grade: str
    line: str


_PACKED = 512
"""Bytes: the longest of a record, nearly always."""

_OLDEST = {"Redis": (7, 0), "Valkey": (7, 2)}


def examine(url: str, timeout: float, *, durable: bool, replicas: int = 0) -> Iterator[Finding]:
    """What is to say about the server at `url`; `durable` if it must lose nothing, as the store must not.

    `replicas` is how many must confirm what is answered.
    """
    try:
        server = dial(url, timeout)
        try:
            for where, one in _primaries(server):
                for finding in _examine(one, durable=durable, replicas=replicas):
                    yield Finding(finding.grade, f"{where}{finding.line}")
        finally:
            server.close()
    except redis.RedisError as error:
        # Of the message only the kind: it may quote the URL and its password.
        yield Finding(
            Finding.FAULT, f"cannot be used ({type(error).__name__}): is it running, are URL and login right?"
        )
    except OSError as error:
        yield Finding(Finding.FAULT, f"cannot be reached ({error.strerror or type(error).__name__}): is it running?")


def _primaries(server: Any) -> Iterator[tuple[str, Any]]:
    """Each server that holds a part, and how its findings begin."""
    if not isinstance(server, RedisCluster):
        yield "", server
        return
    for node in server.get_primaries():
        yield f"{node.name}: ", server.get_redis_connection(node)


def _examine(server: Any, *, durable: bool, replicas: int) -> Iterator[Finding]:
    yield _version(server.info("server"))
    yield from _configuration(server, durable=durable)
    if durable:
        yield from _replication(int(server.info("replication")["connected_slaves"]), replicas)


def _version(info: dict[str, Any]) -> Finding:
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = str(info.get("valkey_version") or info.get("redis_version") or "0")
    oldest = _OLDEST[name]
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < oldest:
        need = " or ".join(f"{server} {major}.{minor}" for server, (major, minor) in _OLDEST.items())
        return Finding(Finding.FAULT, f"{name} {version} is too old: {need} or later is needed")
    return Finding(Finding.OK, f"{name} {version}")


def _replication(connected: int, asked: int) -> Iterator[Finding]:
    if connected < asked:
        line = f"{connected} replicas are connected, and BINDERY_REDIS_REPLICAS asks for {asked}: all is answered 503"
        yield Finding(Finding.FAULT, line)
    elif connected and not asked:
        line = "has replicas, and BINDERY_REDIS_REPLICAS is 0: a failover may lose what was answered last"
        yield Finding(Finding.NOTE, line)


def _configuration(server: Any, *, durable: bool) -> Iterator[Finding]:
    # Told to everybody who may ask for anything, unlike the configuration.
    yield from _eviction(str(server.info("memory").get("maxmemory_policy", NO_EVICTION)), durable=durable)
    if not durable:
        return
    names = ("appendonly", "hash-max-listpack-value")
    try:
        config = {name: str(server.config_get(name).get(name, "")) for name in names}
    except redis.ResponseError:
        yield from _unread(server, names)
        return
    if config["appendonly"] != "yes":
        line = "appendonly is no, a restart loses registrations: CONFIG SET appendonly yes"
        yield Finding(Finding.FAULT, line)
    packed = int(config["hash-max-listpack-value"] or 0)
    if packed < _PACKED:
        mend = f"CONFIG SET hash-max-listpack-value {_PACKED} saves a quarter of the memory"
        yield Finding(Finding.NOTE, f"hash-max-listpack-value is {packed}: {mend}")


def _eviction(policy: str, *, durable: bool) -> Iterator[Finding]:
    if policy != NO_EVICTION:
        line = f"maxmemory-policy is {policy}: CONFIG SET maxmemory-policy {NO_EVICTION}"
        yield Finding(Finding.FAULT if durable else Finding.NOTE, line)


def _unread(server: Any, names: tuple[str, ...]) -> Iterator[Finding]:
    """Of a server that keeps its configuration to itself, as managed ones do."""
    yield Finding(Finding.NOTE, f"does not let its configuration be read; see to {', '.join(names)} yourself")
    if not int(server.info("persistence").get("aof_enabled", 1)):
        line = "keeps no append-only file: unless its provider keeps a log of its own, a crash loses registrations"
        yield Finding(Finding.NOTE, line)
