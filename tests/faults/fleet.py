"""API processes and workers that are replaced one by one while they serve, as an orchestrator does it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx

from service.settings.loading import LISTEN_FD
from tests.faults.client import Answer, Connection
from tests.faults.process import Process
from tests.faults.running import until
from tests.servers.valkey import free_port

_NOTICED = 0.5
"""Seconds until a balancer knows that a process is not ready: what the delay of stopping is for."""


class Member:
    """A process of a fleet, its probes, and, of an API, where it serves."""

    def __init__(self, process: Process, probes: int, address: tuple[str, int]) -> None:
        self.process, self.probes, self.address = process, probes, address
        self._client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{probes}", timeout=10)

    async def ready(self) -> bool:
        """Whether it says so."""
        try:
            return (await self._client.get("/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    async def retire(self) -> None:
        """End it as a service manager would; it must end well."""
        await self._client.aclose()
        assert await asyncio.to_thread(self.process.end) == 0


class Fleet:
    """One API process and one worker at a time.

    Args:
        listener: where every API serves, handed over as `bindery up` does; without it each has a port of its own, and
            new connections go to those that are ready.
    """

    def __init__(self, directory: Path, environ: Mapping[str, str], listener: socket.socket | None = None) -> None:
        self._directory, self._listener = directory, listener
        self.environ = dict(environ)
        """What the next ones are started with."""
        self.code: Path | None = None
        """The directory whose packages they run; by default, this project's."""
        self._count = 0
        self.apis: list[Member] = []
        self.workers: list[Member] = []
        self._serving: list[tuple[str, int]] = []

    async def start(self) -> None:
        """Start one of each."""
        await self.add_worker()
        await self._add_api()

    async def replace_api(self) -> None:
        """A new one first; once it is ready the old one goes."""
        await self._add_api()
        old = self.apis.pop(0)
        leaving = asyncio.create_task(old.retire())
        await asyncio.sleep(_NOTICED)
        if old.address in self._serving and len(self._serving) > 1:
            self._serving.remove(old.address)
        await leaving

    async def replace_worker(self) -> None:
        """Likewise."""
        await self.add_worker()
        await self.workers.pop(0).retire()

    async def add_worker(self) -> None:
        """One more."""
        await self._add(self.workers, self._worker())

    def probes(self) -> dict[str, int]:
        """The port of each process's metrics and probes, by its name."""
        return {member.process.name: member.probes for member in [*self.apis, *self.workers]}

    async def _add_api(self) -> None:
        member = self._api()
        await self._add(self.apis, member)
        if member.address not in self._serving:
            self._serving.append(member.address)

    async def _add(self, members: list[Member], member: Member) -> None:
        members.append(member)
        member.process.start()
        await until(member.ready, f"{member.process.name} is ready")

    def _api(self) -> Member:
        if self._listener is not None:
            fd, address = self._listener.fileno(), self._listener.getsockname()
            member = self._member("api", ["service.cli", "api"], address, {LISTEN_FD: str(fd)})
            member.process.inherit(fd)
            return member
        port = free_port()
        return self._member("api", ["service.cli", "api"], ("127.0.0.1", port), {"BINDERY_PORT": str(port)})

    def _worker(self) -> Member:
        return self._member("worker", ["workers"], ("", 0), {})

    def _member(self, kind: str, command: list[str], address: tuple[str, int], more: dict[str, str]) -> Member:
        self._count += 1
        name, probes = f"{kind}-{self._count}", free_port()
        environ = {**self.environ, **more, "BINDERY_METRICS_PORT": str(probes)}
        process = Process(name, command, environ, self._directory / f"{name}.log", code=self.code)
        return Member(process, probes, address)

    def connection(self) -> Balanced:
        """A connection that is made anew to a process that is ready, whenever it has been ended."""
        return Balanced(self._serving)

    def end(self) -> None:
        """End what still runs."""
        for member in [*self.apis, *self.workers]:
            member.process.end()


class Balanced(Connection):
    """A connection by way of a balancer, which knows where it may go."""

    def __init__(self, serving: list[tuple[str, int]]) -> None:
        super().__init__(*serving[0])
        self._serving = serving

    async def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"", patience: float = 10
    ) -> Answer:
        """One request and its answer."""
        self._host, self._port = self._serving[-1]
        return await super().request(method, path, headers, body, patience)


@contextmanager
def _ending(fleet: Fleet) -> Iterator[Fleet]:
    try:
        yield fleet
    finally:
        fleet.end()


@asynccontextmanager
async def running(
    directory: Path, environ: Mapping[str, str], listener: socket.socket | None = None
) -> AsyncIterator[Fleet]:
    """A fleet that serves."""
    with _ending(Fleet(directory, environ, listener)) as fleet:
        await fleet.start()
        yield fleet
