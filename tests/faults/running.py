"""What serves: where it is, how its store is asked, and when it has come to rest."""

from __future__ import annotations

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Callable, Iterator

import jwt

from service.domain.jobs import LANES, Ledger
from service.domain.record import Channel, Record, State
from tests.faults.client import Connection, Lost
from tests.faults.process import Footprint, footprint

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


def app_headers(identity: str, session: str, issued_at: int, lifetime: int = 7200) -> dict[str, str]:
    """What an app sends with a request of its identity: a token of so many seconds."""
    claims = {"sub": identity, "sid": session, "iat": issued_at, "exp": issued_at + lifetime}
    bearer = jwt.encode(claims, _JWT_SECRET, algorithm="HS256")
    return {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}


class Running(ABC):
    """Processes that serve at ``addresses``, hosts and ports, and their store."""

    addresses: list[tuple[str, int]]

    @abstractmethod
    def ask(self, *words: str | bytes) -> object:
        """One command to the store, over a connection of its own."""

    @abstractmethod
    def check(self) -> None:
        """Raise AssertionError if a process does not run that should."""

    @abstractmethod
    def pids(self) -> dict[str, int]:
        """Process ids of everything that runs, by what it is called."""

    def footprints(self) -> dict[str, Footprint]:
        """What each process holds now; those that are just ending are left out."""
        found = {}
        for name, pid in self.pids().items():
            with contextlib.suppress(OSError):
                found[name] = footprint(pid)
        return found

    def connection(self, number: int = 0) -> Connection:
        """A new connection to an API process; which one depends on the number."""
        return Connection(*self.addresses[number % len(self.addresses)])

    async def ready(self) -> None:
        """Return once every API process says that it can serve."""
        for number in range(len(self.addresses)):
            async with contextlib.aclosing(self.connection(number)) as connection:
                await until(lambda at=connection: self._serves(at), "the API is ready")  # type: ignore[misc]

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

    def unsettled(self) -> Iterator[str]:
        """Records that are not at rest though nothing is owed: removed and still there, or wanted and not applied."""
        for space in ("r", "k"):
            for bucket in _rows(self.ask("KEYS", f"{{{SERVICE}}}:{space}??")):
                for raw in _rows(self.ask("HVALS", bucket)):
                    record = Record(b"", raw)
                    states = [State(record.notify), State(record.chat)]
                    at_rest = [State.APPLIED if record.channels & channel else State.NONE for channel in Channel]
                    if not record.channels or states != at_rest:
                        yield f"a record of {space!r} for {Channel(record.channels)!r} is left as {states}"

    async def converged(self) -> float:
        """Return once nothing is owed; answers after how many seconds.

        Raises:
            TimeoutError: it did not come to that in time.
        """
        began = time.monotonic()
        await self.ready()
        await until(lambda: self.owed() == 0, "nothing is owed any more", CONVERGENCE)
        return time.monotonic() - began


def _rows(reply: object) -> list[bytes]:
    assert isinstance(reply, list)
    return reply


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
