"""A deployment under measurement: a Valkey as embedded, API processes, workers, and a runtime to look into it with."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import msgspec

from service.bootstrap import Runtime, runtime
from service.domain.jobs import LANES, Ledger
from service.domain.record import Record, State
from service.settings import load
from service.settings.loading import LISTEN_FD
from service.usecases.service import Service
from tests.benchmarks.deployment import environment
from tests.benchmarks.devices import Device, devices
from tests.benchmarks.fill import fill
from tests.benchmarks.processes import Program, cpu_seconds, python, wait_for_answer
from tests.servers.valkey import ValkeyServer
from tests.waiting import eventually

_OWNERS_AT_ONCE = 500
_WARM = 500


class Api(msgspec.Struct, frozen=True):
    """API processes that share a listening socket."""

    port: int
    programs: list[Program]

    def cpu_seconds(self) -> float:
        """CPU time of all of them."""
        return sum(program.cpu_seconds() for program in self.programs)


@contextmanager
def serving(argv: Sequence[str], environ: dict[str, str], log: Path, processes: int = 1) -> Iterator[Api]:
    """API processes of this command line, once they answer. The socket is handed over, as `bindery up` does it."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=2048))
        port, fd = listener.getsockname()[1], listener.fileno()
        started = [
            Program(python(*argv), log, environ={**environ, LISTEN_FD: str(fd)}, pass_fds=(fd,))
            for _ in range(processes)
        ]
        for program in started:
            stack.enter_context(program)
        for program in started:
            wait_for_answer(port, "/livez", program)
        yield Api(port, started)


class Site:
    """A running deployment. ``service`` looks into its store from this process."""

    def __init__(self, valkey: ValkeyServer, running: Runtime, api: Api, workers: list[Program]) -> None:
        self.valkey = valkey
        self.running = running
        self.api = api
        self.workers = workers

    @property
    def service(self) -> Service:
        """The one Service."""
        return self.running.directory.default()

    def cpu(self) -> dict[str, float]:
        """CPU seconds by part of the deployment."""
        return {
            "api": self.api.cpu_seconds(),
            "worker": sum(worker.cpu_seconds() for worker in self.workers),
            "valkey": cpu_seconds(self.valkey.pid),
        }

    async def depth(self) -> int:
        """Entries in the ledgers."""
        anchor = self.service.section.anchor
        keys = [b"%b:%b%d" % (anchor, ledger.value.encode(), lane) for ledger in Ledger for lane in range(LANES)]
        counts = await asyncio.gather(*(self.running.store.command("ZCARD", key, key=anchor) for key in keys))
        return sum(count for count in counts if isinstance(count, int))

    async def warm(self) -> None:
        """Return once every process has done some work: what starting them costs belongs to no measurement."""
        await fill(self.service, iter(devices("warm", _WARM)), settle=True)
        await fill(self.service, iter(devices(f"warm-{time.time_ns()}", _WARM)), settle=False)
        await self.settled()

    async def settled(self) -> None:
        """Return once the ledgers are empty."""

        async def empty() -> bool:
            return await self.depth() == 0

        await eventually(empty, timeout=60)

    async def records(self, identities: Sequence[str]) -> list[list[Record]]:
        """What the store has of each identity."""
        owners = [self.service.fingerprints.owner(identity) for identity in identities]
        found: list[list[Record]] = []
        for n in range(0, len(owners), _OWNERS_AT_ONCE):
            some = await self.service.reading.registrations_of(owners[n : n + _OWNERS_AT_ONCE])
            found += [[record for record, _ in pairs or () if record.channels] for pairs in some]
        return found

    async def check_holds(self, wanted: Sequence[Device]) -> None:
        """Raises AssertionError unless each device's identity has just that address, on that device, applied."""
        held = await self.records([device.identity for device in wanted])
        prints = self.service.fingerprints
        for device, records in zip(wanted, held, strict=True):
            assert len(records) == 1, f"{len(records)} registrations where one is due"
            [record] = records
            assert record.address == device.address
            assert record.device in (prints.device(device.device_id), bytes(12))
            assert record.notify == State.APPLIED

    async def check_empty(self, identities: Sequence[str]) -> None:
        """Raises AssertionError if any of these identities has a registration."""
        assert not any(await self.records(identities)), "an identity has what it should have lost"


@asynccontextmanager
async def site(
    folder: Path, name: str, *, appendfsync: str = "always", apis: int = 1, workers: int = 1
) -> AsyncIterator[Site]:
    """A deployment of its own, logging to ``folder``."""
    with ValkeyServer("--hash-max-listpack-entries", "512", appendfsync=appendfsync) as valkey:
        async with beside(valkey, folder, name, apis=apis, workers=workers) as started:
            yield started


@asynccontextmanager
async def beside(
    valkey: ValkeyServer, folder: Path, name: str, *, apis: int = 1, workers: int = 1
) -> AsyncIterator[Site]:
    """A deployment on a store that runs already."""
    environ = environment(valkey.url)
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(runtime(load(environ)))
        await running.open_store()
        api = stack.enter_context(
            serving(("-m", "service.cli", "api"), environ, folder / f"{name}-api.log", processes=apis)
        )
        started = [
            stack.enter_context(Program(python("-m", "workers"), folder / f"{name}-worker.log", environ=environ))
            for _ in range(workers)
        ]
        begun = Site(valkey, running, api, started)
        await begun.warm()
        yield begun
