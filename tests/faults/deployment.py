"""The real processes, each of which can be killed, stopped in its tracks and started again."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import jwt

from service.domain.jobs import LANES, Ledger
from service.settings.loading import LISTEN_FD
from tests.faults.client import Connection, Lost
from tests.servers.valkey import ValkeyServer

ACCOUNT, TOKEN = "AC" + "0" * 32, "an auth token for tests"
SERVICE = "IS" + "f" * 32
_JWT_SECRET = "a secret for tokens of 32 bytes or more"
_SERVER = {"Authorization": f"Basic {b64encode(f'{ACCOUNT}:{TOKEN}'.encode()).decode()}"}

JSON = {**_SERVER, "Content-Type": "application/json"}
FORM = {**_SERVER, "Content-Type": "application/x-www-form-urlencoded"}

CONVERGENCE = 25.0
"""Seconds in which everything owed must be applied: a killed worker's leases last 5, a sweep comes every 2."""


def app_headers(identity: str, session: str, issued_at: int) -> dict[str, str]:
    """What an app sends with a request of its identity."""
    claims = {"sub": identity, "sid": session, "iat": issued_at, "exp": issued_at + 7200}
    bearer = jwt.encode(claims, _JWT_SECRET, algorithm="HS256")
    return {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}


class Process:
    """One of our processes, and its log."""

    def __init__(self, name: str, command: list[str], environ: dict[str, str], log: Path, started: str) -> None:
        self.name, self._command, self._environ, self._log = name, command, environ, log
        self._started = re.compile(started.encode())
        self._process: subprocess.Popen[bytes] | None = None
        self._fds: tuple[int, ...] = ()
        self._logged = 0

    def inherit(self, fd: int) -> None:
        """Hand a file descriptor over at every start."""
        self._fds = (fd,)

    def start(self) -> None:
        """Start it, without waiting for anything."""
        self._logged = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self._command],
                env=self._environ,
                pass_fds=self._fds,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def up(self) -> bool:
        """Whether it has said that it started."""
        assert self.alive(), f"{self.name} ended by itself:\n{self._log.read_text()[-3000:]}"
        with self._log.open("rb") as log:
            log.seek(self._logged)
            return self._started.search(log.read()) is not None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def stop(self) -> None:
        """Stop it in its tracks."""
        self.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        self.signal(signal.SIGCONT)

    def end(self) -> None:
        """End it as a service manager would."""
        if self._process is None or self._process.poll() is not None:
            return
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()

    def resident(self) -> float:
        """Its resident memory in MB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) / 1024

    def descriptors(self) -> int:
        """How many file descriptors it holds."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))


class Deployment:
    """Valkey, an API process and a worker."""

    def __init__(self, valkey: ValkeyServer, directory: Path, listener: socket.socket) -> None:
        self.valkey = valkey
        self.host, self.port = listener.getsockname()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("BINDERY_")}
        environ = {
            **inherited,
            "BINDERY_REDIS_URL": valkey.url,
            # A database of its own, so that losing every key of the queue loses nothing else.
            "BINDERY_QUEUE_URL": f"{valkey.url}?db=1",
            "BINDERY_SECRET_KEY": "a secret key of more than 32 bytes",
            "BINDERY_ACCOUNT_SID": ACCOUNT,
            "BINDERY_AUTH_TOKEN": TOKEN,
            "BINDERY_SERVICE_SID": SERVICE,
            "BINDERY_JWT_SECRET": _JWT_SECRET,
            "BINDERY_LOG_LEVEL": "info",
        }
        self.logs = directory
        handed = {**environ, LISTEN_FD: str(listener.fileno())}
        self.api = Process("api", ["service.cli", "api"], handed, directory / "api.log", r"")
        self.api.inherit(listener.fileno())
        self.worker = Process("worker", ["workers"], environ, directory / "worker.log", "worker_started")

    def connection(self) -> Connection:
        """A new connection to the API."""
        return Connection(self.host, self.port)

    async def ready(self) -> None:
        """Return once the API says that it can serve and the worker that it works."""
        connection = self.connection()
        await until(lambda: self._serves(connection), "the API is ready")
        await connection.aclose()
        await until(self.worker.up, "the worker has started")

    async def _serves(self, connection: Connection) -> bool:
        assert self.api.alive(), f"the API ended by itself:\n{(self.logs / 'api.log').read_text()[-3000:]}"
        try:
            return (await connection.request("GET", "/readyz", {}, patience=2)).status == 200
        except Lost:
            return False

    def owed(self) -> int:
        """Entries in the ledgers."""
        names = [f"{{{SERVICE}}}:{ledger.value}{lane}" for ledger in Ledger for lane in range(LANES)]
        counts = [self.valkey.call("ZCARD", name) for name in names]
        return sum(count for count in counts if isinstance(count, int))

    def dead_letters(self) -> int:
        """Entries in the dead letters."""
        count = self.valkey.call("HLEN", f"{{{SERVICE}}}:dead")
        assert isinstance(count, int)
        return count

    async def converged(self) -> float:
        """Return once nothing is owed; answers after how many seconds.

        Raises:
            TimeoutError: it did not come to that in time.
        """
        began = time.monotonic()
        await self.ready()
        await until(lambda: self.owed() == 0, "nothing is owed any more", CONVERGENCE)
        return time.monotonic() - began


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
def deployed(directory: Path, *options: str) -> Iterator[Deployment]:
    """A deployment of its own, as durable as the embedded default, with these options of Valkey."""
    with (
        ValkeyServer(*options, appendfsync="always") as valkey,
        # Handed over as `bindery up` does it: while no API runs, connections wait for the next one.
        socket.create_server(("127.0.0.1", 0), backlog=512) as listener,
    ):
        deployment = Deployment(valkey, directory, listener)
        try:
            deployment.api.start()
            deployment.worker.start()
            yield deployment
        finally:
            deployment.api.end()
            deployment.worker.end()
