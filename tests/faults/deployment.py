"""The real processes, each of which can be killed, stopped in its tracks and started again."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from service.settings.loading import LISTEN_FD
from tests.faults.clock import Clock
from tests.faults.process import Process
from tests.faults.running import SETTINGS, Running, until
from tests.servers.valkey import ValkeyServer


class Processes(Running):
    """API processes and workers, which nobody supervises but the test, on some store.

    Args:
        directory: for logs and clocks.
        listeners: where API processes serve, one at each.
        settings: environment variables beside those that every test has.
        workers: how many there are.
        code: the directory whose packages they run; by default, this project's.
    """

    def __init__(
        self,
        directory: Path,
        listeners: Sequence[socket.socket],
        settings: Mapping[str, str],
        *,
        workers: int = 1,
        code: Path | None = None,
    ) -> None:
        self.addresses = [listener.getsockname() for listener in listeners]
        own = {name: value for name, value in os.environ.items() if not name.startswith("BINDERY_")}
        environ = {**own, **SETTINGS, **settings}
        self.api_clock, self.worker_clock = Clock(directory / "api.clock"), Clock(directory / "worker.clock")
        serving, working = environ | self.api_clock.environ, environ | self.worker_clock.environ

        def process(name: str, command: list[str], environ: dict[str, str], started: str = "") -> Process:
            return Process(name, command, environ, directory / f"{name}.log", started, code=code)

        self.apis = []
        for name, listener in zip(_names("api", len(listeners)), listeners, strict=True):
            self.apis.append(process(name, ["service.cli", "api"], serving | {LISTEN_FD: str(listener.fileno())}))
            self.apis[-1].inherit(listener.fileno())
        self.workers = [process(name, ["workers"], working, "worker_started") for name in _names("worker", workers)]

    @property
    def api(self) -> Process:
        """The first API process."""
        return self.apis[0]

    @property
    def worker(self) -> Process:
        """The first worker."""
        return self.workers[0]

    @property
    def processes(self) -> list[Process]:
        """All of them."""
        return [*self.apis, *self.workers]

    def pids(self) -> dict[str, int]:
        """Process ids by what they are called."""
        return {process.name: process.pid for process in self.processes}

    def check(self) -> None:
        """Raise AssertionError if a process does not run that should."""
        for process in self.processes:
            process.check()

    async def ready(self) -> None:
        """Return once the API says that it can serve and the workers that they work."""
        await super().ready()
        for worker in self.workers:
            await until(worker.up, f"the {worker.name} has started")

    def start(self) -> None:
        """Start all, without waiting for anything."""
        for process in self.processes:
            process.start()

    def end(self) -> None:
        """End all as a service manager would."""
        for process in self.processes:
            process.end()


def _names(kind: str, count: int) -> list[str]:
    return [kind, *(f"{kind}-{n}" for n in range(2, count + 1))]


class Deployment(Processes):
    """API and workers with one Valkey."""

    def __init__(
        self,
        valkey: ValkeyServer,
        directory: Path,
        listener: socket.socket,
        settings: Mapping[str, str],
        *,
        workers: int = 1,
        code: Path | None = None,
    ) -> None:
        self.valkey = valkey
        # The queue has a database of its own, so that losing every key of it loses nothing else.
        urls = {"BINDERY_REDIS_URL": valkey.url, "BINDERY_QUEUE_URL": f"{valkey.url}?db=1"}
        super().__init__(directory, [listener], {**urls, **settings}, workers=workers, code=code)

    def pids(self) -> dict[str, int]:
        """Process ids by what they are called."""
        return {**super().pids(), "valkey": self.valkey.pid}

    def ask(self, *words: str | bytes) -> object:
        """One command to the store, over a connection of its own."""
        return self.valkey.call(*words)


@contextmanager
def listening() -> Iterator[socket.socket]:
    """A socket for an API, as `bindery up` hands it over: while no API runs, connections wait for the next one."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        yield listener


@contextmanager
def deployed(
    directory: Path,
    *options: str,
    appendfsync: str = "always",
    settings: Mapping[str, str] | None = None,
    workers: int = 1,
    code: Path | None = None,
) -> Iterator[Deployment]:
    """A deployment of its own, as durable as the embedded default, with these options of Valkey."""
    with ValkeyServer(*options, appendfsync=appendfsync) as valkey, listening() as listener:
        deployment = Deployment(valkey, directory, listener, settings or {}, workers=workers, code=code)
        try:
            deployment.start()
            yield deployment
        finally:
            deployment.end()
