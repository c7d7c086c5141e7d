"""Looks at a Redis or Valkey: its version, and the settings of it that Bindery depends on."""

from collections.abc import Iterator
from typing import Any, ClassVar

import redis
from msgspec import Struct
from redis.cluster import RedisCluster

from service.cli.dialling import dial


class Finding(Struct, frozen=True):
    """One line of the report; a fault says how to mend it."""

    OK: ClassVar[str] = "ok"
    NOTE: ClassVar[str] = "note"
    FAULT: ClassVar[str] = "FAULT"

    grade: str
    line: str


_OLDEST = {"Redis": (7, 0), "Valkey": (7, 2)}


def examine(url: str, timeout: float, *, durable: bool, replicas: int = 0) -> Iterator[Finding]:
    """What is to say about the server at `url`; `durable` if it must lose nothing, as the store must not.

    `replicas` is how many must confirm what is answered.
    """
    try:
        server = dial(url, timeout)
        try:
            yield _version(server.info("server"))
            yield from _configuration(server, durable=durable)
            if durable:
                yield from _replication(server, replicas)
        finally:
            server.close()
    except redis.RedisError as error:
        # Of the message only the kind: it may quote the URL and its password.
        yield Finding(
            Finding.FAULT, f"cannot be used ({type(error).__name__}): is it running, are URL and login right?"
        )
    except OSError as error:
        yield Finding(Finding.FAULT, f"cannot be reached ({error.strerror or type(error).__name__}): is it running?")


def _version(info: dict[str, Any]) -> Finding:
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = str(info.get("valkey_version") or info.get("redis_version") or "0")
    oldest = _OLDEST[name]
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < oldest:
        need = " or ".join(f"{server} {major}.{minor}" for server, (major, minor) in _OLDEST.items())
        return Finding(Finding.FAULT, f"{name} {version} is too old: {need} or later is needed")
    return Finding(Finding.OK, f"{name} {version}")


def _replication(server: Any, asked: int) -> Iterator[Finding]:
    if isinstance(server, RedisCluster):
        told = list(server.info("replication", target_nodes=RedisCluster.PRIMARIES).values())
    else:
        told = [server.info("replication")]
    least = min(int(info["connected_slaves"]) for info in told)
    if least < asked:
        line = f"{least} replicas are connected, and BINDERY_REDIS_REPLICAS asks for {asked}: all is answered 503"
        yield Finding(Finding.FAULT, line)
    elif least and not asked:
        line = "has replicas, and BINDERY_REDIS_REPLICAS is 0: a failover may lose what was answered last"
        yield Finding(Finding.NOTE, line)


def _configuration(server: Any, *, durable: bool) -> Iterator[Finding]:
    names = ("maxmemory-policy", "appendonly", "hash-max-listpack-value")
    try:
        config = {name: str(server.config_get(name).get(name, "")) for name in names}
    except redis.ResponseError:
        yield Finding(Finding.NOTE, f"does not let its configuration be read; see to {', '.join(names)} yourself")
        return
    wrong = Finding.FAULT if durable else Finding.NOTE
    if config["maxmemory-policy"] != "noeviction":
        yield Finding(
            wrong, f"maxmemory-policy is {config['maxmemory-policy']}: CONFIG SET maxmemory-policy noeviction"
        )
    if not durable:
        return
    if config["appendonly"] != "yes":
        yield Finding(wrong, "appendonly is no, a restart loses registrations: CONFIG SET appendonly yes")
    packed = int(config["hash-max-listpack-value"] or 0)
    if packed < 512:
        mend = "CONFIG SET hash-max-listpack-value 512 saves a quarter of the memory"
        line = f"hash-max-listpack-value is {packed}: {mend}"
        yield Finding(Finding.NOTE, line)
