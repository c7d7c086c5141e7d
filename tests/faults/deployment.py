"""The real processes, each of which can be killed, stopped in its tracks and started again."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import jwt

from service.domain.jobs import LANES, Ledger
from service.settings.loading import LISTEN_FD
from tests.faults.client import Connection, Lost
from tests.faults.process import Process
from tests.servers.valkey import ValkeyServer

ACCOUNT, TOKEN = "AC" + "0" * 32, "an auth token for tests"
SERVICE = "IS" + "f" * 32
_JWT_SECRET = "a secret for tokens of 32 bytes or more"
_SERVER = {"Authorization": f"Basic {b64encode(f'{ACCOUNT}:{TOKEN}'.encode()).decode()}"}

JSON = {**_SERVER, "Content-Type": "application/json"}
FORM = {**_SERVER, "Content-Type": "application/x-www-form-urlencoded"}

SETTINGS = {
    "BINDERY_SECRET_KEY": "a secret key of more than 32 bytes",
    "BINDERY_ACCOUNT_SID": ACCOUNT,
    "BINDERY_AUTH_TOKEN": TOKEN,
    "BINDERY_SERVICE_SID": SERVICE,
    "BINDERY_JWT_SECRET": _JWT_SECRET,
}

CONVERGENCE = 25.0
"""Seconds in which everything owed must be applied: a killed worker's leases last 5, a sweep comes every 2."""


def app_headers(identity: str, session: str, issued_at: int) -> dict[str, str]:
    """What an app sends with a request of its identity."""
    claims = {"sub": identity, "sid": session, "iat": issued_at, "exp": issued_at + 7200}
    bearer = jwt.encode(claims, _JWT_SECRET, algorithm="HS256")
    return {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}


class Running(ABC):
    """Processes that serve at ``host`` and ``port``, and their store."""

    host: str
    port: int

    @abstractmethod
    def ask(self, *words: str) -> object:
        """One command to the store, over a connection of its own."""

    @abstractmethod
    def check(self) -> None:
        """Raise AssertionError if a process does not run that should."""

    def connection(self) -> Connection:
        """A new connection to the API."""
        return Connection(self.host, self.port)

    async def ready(self) -> None:
        """Return once the API says that it can serve."""
        connection = self.connection()
        await until(lambda: self._serves(connection), "the API is ready")
        await connection.aclose()

    async def _serves(self, connection: Connection) -> bool:
        self.check()
        try:
            return (await connection.request("GET", "/readyz", {}, patience=2)).status == 200
        except Lost:
            return False

    def owed(self) -> int:
        """Entries in the ledgers."""
        names = [f"{{{SERVICE}}}:{ledger.value}{lane}" for ledger in Ledger for lane in range(LANES)]
        return sum(_count(self.ask("ZCARD", name)) for name in names)

    def dead_letters(self) -> int:
        """Entries in the dead letters."""
        return _count(self.ask("HLEN", f"{{{SERVICE}}}:dead"))

    async def converged(self) -> float:
        """Return once nothing is owed; answers after how many seconds.

        Raises:
            TimeoutError: it did not come to that in time.
        """
        began = time.monotonic()
        await self.ready()
        await until(lambda: self.owed() == 0, "nothing is owed any more", CONVERGENCE)
        return time.monotonic() - began


class Deployment(Running):
    """Valkey, an API process and a worker, which nobody supervises but the test."""

    def __init__(self, valkey: ValkeyServer, directory: Path, listener: socket.socket, code: Path | None) -> None:
        self.valkey = valkey
        self.host, self.port = listener.getsockname()
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("BINDERY_")},
            **SETTINGS,
            "BINDERY_REDIS_URL": valkey.url,
            # A database of its own, so that losing every key of the queue loses nothing else.
            "BINDERY_QUEUE_URL": f"{valkey.url}?db=1",
        }
        handed = {**environ, LISTEN_FD: str(listener.fileno())}
        self.api = Process("api", ["service.cli", "api"], handed, directory / "api.log", code=code)
        self.api.inherit(listener.fileno())
        self.worker = Process("worker", ["workers"], environ, directory / "worker.log", "worker_started", code=code)

    def ask(self, *words: str) -> object:
        """One command to the store, over a connection of its own."""
        return self.valkey.call(*words)

    def check(self) -> None:
        """Raise AssertionError if a process does not run that should."""
        self.api.check()
        self.worker.check()

    async def ready(self) -> None:
        """Return once the API says that it can serve and the worker that it works."""
        await super().ready()
        await until(self.worker.up, "the worker has started")


def _count(reply: object) -> int:
    assert isinstance(reply, int)
    return reply


async def until(holds: Callable[[], object], what: str, deadline: float = 20.0) -> None:
    """Asks every 20 ms until ``holds()`` is true, or answers something awaitable that is.

    Raises:
        TimeoutError: it was not, within ``deadline`` seconds.
    """
    end = time.monotonic() + deadline
    while True:
        held = holds()
        if await held if asyncio.iscoroutine(held) else held:
            return
        if time.monotonic() > end:
            raise TimeoutError(f"waited {deadline} s in vain until {what}")
        await asyncio.sleep(0.02)


@contextmanager
def deployed(directory: Path, *options: str, code: Path | None = None) -> Iterator[Deployment]:
    """A deployment of its own, as durable as the embedded default, with these options of Valkey."""
    with (
        ValkeyServer(*options, appendfsync="always") as valkey,
        # Handed over as `bindery up` does it: while no API runs, connections wait for the next one.
        socket.create_server(("127.0.0.1", 0), backlog=512) as listener,
    ):
        deployment = Deployment(valkey, directory, listener, code)
        try:
            deployment.api.start()
            deployment.worker.start()
            yield deployment
        finally:
            deployment.api.end()
            deployment.worker.end()
