"""Deployments whose store has replicas, one of which takes over when the primary fails."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from service.redis.slots import key_slot
from tests.faults.deployment import Processes, listening
from tests.faults.running import SERVICE, until
from tests.servers.cluster import ValkeyCluster
from tests.servers.sentinel import ValkeySentinel
from tests.servers.valkey import ValkeyServer

_SLOT = key_slot(b"{%s}" % SERVICE.encode())


class Replicated(Processes, ABC):
    """Two API processes and a worker, on a store that fails over."""

    servers: list[ValkeyServer]

    @abstractmethod
    def primary(self) -> ValkeyServer:
        """The server that holds the Service now; raises LookupError or OSError if nobody can tell."""

    @abstractmethod
    def follows(self, server: ValkeyServer) -> bool:
        """Whether a server is a replica that is in step."""

    def ask(self, *words: str | bytes) -> object:
        """One command to the primary, over a connection of its own."""
        return self.primary().call(*words)

    def pids(self) -> dict[str, int]:
        """Process ids by what they are called."""
        servers = {f"valkey-{n}": server.pid for n, server in enumerate(self.servers, 1) if server.running}
        return {**super().pids(), **servers}

    async def replaced(self, former: ValkeyServer) -> None:
        """Return once another server than this one is the primary."""
        await until(lambda: asyncio.to_thread(self._other, former), "another server is the primary")

    def _other(self, former: ValkeyServer) -> bool:
        with contextlib.suppress(LookupError, OSError):
            return self.primary() is not former
        return False

    async def in_step(self) -> None:
        """Return once every server but the primary follows it."""
        await until(lambda: asyncio.to_thread(self._all_follow), "the replicas are in step", 40.0)

    def _all_follow(self) -> bool:
        with contextlib.suppress(LookupError, OSError):
            primary = self.primary()
            return all(server is primary or self.follows(server) for server in self.of_the_service())
        return False

    def of_the_service(self) -> list[ValkeyServer]:
        """The servers that hold the Service, or may come to."""
        return self.servers


class Watched(Replicated):
    """A primary and two replicas, watched by Sentinels; the queue lies beside the store."""

    def __init__(
        self, sentinel: ValkeySentinel, directory: Path, listeners: list[socket.socket], settings: Mapping[str, str]
    ) -> None:
        super().__init__(directory, listeners, {"BINDERY_REDIS_URL": sentinel.url, **settings})
        self._sentinel = sentinel
        self.servers = sentinel.servers

    def primary(self) -> ValkeyServer:
        """As Sentinel sees it."""
        return self._sentinel.primary()

    def follows(self, server: ValkeyServer) -> bool:
        """Whether a server is a replica that is in step."""
        return self._sentinel.follows(server)


class Clustered(Replicated):
    """Three primaries with a replica each; the queue is a server of its own."""

    def __init__(
        self,
        cluster: ValkeyCluster,
        queue: ValkeyServer,
        directory: Path,
        listeners: list[socket.socket],
        settings: Mapping[str, str],
    ) -> None:
        urls = {"BINDERY_REDIS_URL": cluster.url, "BINDERY_QUEUE_URL": queue.url}
        super().__init__(directory, listeners, {**urls, **settings})
        self._cluster = cluster
        self.servers = cluster.nodes
        owner = cluster.owner(_SLOT)
        place = cluster.nodes.index(owner)
        self._of_the_service = cluster.nodes[place :: cluster.primaries]

    def primary(self) -> ValkeyServer:
        """By the nodes' own word."""
        return self._cluster.primary(_SLOT)

    def follows(self, server: ValkeyServer) -> bool:
        """Whether a node is a replica that is in step."""
        return self._cluster.follows(server)

    def of_the_service(self) -> list[ValkeyServer]:
        """One of the primaries, and its replica."""
        return self._of_the_service


@contextmanager
def watched(directory: Path, *, replicas: int) -> Iterator[Replicated]:
    """A deployment with Sentinel, in which so many replicas must confirm what is answered."""
    with (
        ValkeySentinel(replicas=2, appendfsync="always") as sentinel,
        listening() as first,
        listening() as second,
    ):
        settings = {"BINDERY_REDIS_REPLICAS": str(replicas)}
        yield from _run(Watched(sentinel, directory, [first, second], settings))


@contextmanager
def clustered(directory: Path, *, replicas: int) -> Iterator[Replicated]:
    """A deployment with a Cluster, in which so many replicas must confirm what is answered."""
    with (
        ValkeyCluster(replicas=1, node_timeout_ms=1000, appendfsync="always") as cluster,
        ValkeyServer() as queue,
        listening() as first,
        listening() as second,
    ):
        settings = {"BINDERY_REDIS_REPLICAS": str(replicas)}
        yield from _run(Clustered(cluster, queue, directory, [first, second], settings))


def _run(deployment: Replicated) -> Iterator[Replicated]:
    try:
        deployment.start()
        yield deployment
    finally:
        deployment.end()


Failure = Callable[[Replicated, random.Random], Awaitable[None]]


async def kill_primary(deployment: Replicated, dice: random.Random) -> None:
    """SIGKILL of the primary, which comes back as a replica of its successor."""
    await deployment.in_step()
    former = deployment.primary()
    await asyncio.to_thread(former.kill)
    await deployment.replaced(former)
    await asyncio.sleep(dice.uniform(0, 0.5))
    await asyncio.to_thread(former.start)
    await deployment.ready()


async def pause_primary(deployment: Replicated, dice: random.Random) -> None:
    """SIGSTOP of the primary; when it goes on it takes itself for the primary still, for a while."""
    await deployment.in_step()
    former = deployment.primary()
    former.pause()
    try:
        await deployment.replaced(former)
        await asyncio.sleep(dice.uniform(0, 0.5))
    finally:
        former.resume()
    await asyncio.sleep(dice.uniform(0.5, 1.5))
    await deployment.ready()
