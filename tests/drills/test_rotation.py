"""Each secret that rotates does so as the runbook says, under load: no request fails, the old one becomes worthless."""

from __future__ import annotations

import asyncio
import os
import time
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import jwt
import msgspec
import pytest
import uvloop

from tests.faults.client import Connection, Lost
from tests.faults.fleet import Fleet, running
from tests.faults.running import ACCOUNT, SETTINGS, TOKEN
from tests.servers.valkey import ValkeyServer

pytestmark = pytest.mark.slow

CALLERS, PAUSE_SECONDS = 4, 0.02
FIRST_KEY, SECOND_KEY = "SK" + "7" * 32, "SK" + "8" * 32
OLD, NEW = "the old one of 32 bytes or more here", "the new one of 32 bytes or more here"


def basic(user: str, password: str) -> dict[str, str]:
    """What a server sends."""
    return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}


def bearer(secret: str) -> dict[str, str]:
    """What an app sends, just logged in."""
    now = int(time.time())
    claims = {"sub": "alice", "iat": now, "exp": now + 600}
    return {"Authorization": f"Bearer {jwt.encode(claims, secret, algorithm='HS256')}"}


async def register(connection: Connection, headers: Mapping[str, str]) -> int:
    """One registration, which is the same every time; its status."""
    wanted = {"binding_type": "apn", "address": "ab" * 32, "device_id": "phone"}
    if headers["Authorization"].startswith("Basic"):
        wanted["identity"] = "alice"
    sent = {**headers, "Content-Type": "application/json"}
    return (await connection.request("POST", "/v1/registrations", sent, msgspec.json.encode(wanted))).status


class Callers:
    """They register, several at a time, with the credentials that are theirs just now."""

    def __init__(self, fleet: Fleet, credentials: Mapping[str, str]) -> None:
        self.fleet, self.credentials = fleet, credentials
        self.answers: Counter[str] = Counter()
        self._ending = False

    @asynccontextmanager
    async def calling(self) -> AsyncIterator[None]:
        """Call while the context lasts."""
        tasks = [asyncio.create_task(self._call()) for _ in range(CALLERS)]
        try:
            yield
        finally:
            self._ending = True
            await asyncio.gather(*tasks)

    async def _call(self) -> None:
        connection = self.fleet.connection()
        while not self._ending:
            try:
                self.answers[str(await register(connection, self.credentials))] += 1
            except Lost as lost:
                self.answers[str(lost)] += 1
            await asyncio.sleep(PAUSE_SECONDS)
        await connection.aclose()

    def none_failed(self) -> bool:
        """Whether every request was taken; there were some."""
        return self.answers.total() > 50 and set(self.answers) <= {"200", "202"}


async def roll(fleet: Fleet, **settings: str) -> None:
    """Change settings, and replace everything; an empty one is taken away."""
    fleet.environ.update(settings)
    await fleet.replace_api()
    await fleet.replace_worker()


async def refused(fleet: Fleet, headers: Mapping[str, str]) -> bool:
    """Whether these credentials are worth nothing."""
    connection = fleet.connection()
    status = await register(connection, headers)
    await connection.aclose()
    return status == 401


def drill(directory: Path, before: dict[str, str], steps: Callable[[Fleet], Awaitable[None]]) -> None:
    """Take the steps with processes that were started with these settings."""

    async def taken() -> None:
        own = {name: value for name, value in os.environ.items() if not name.startswith("BINDERY_")}
        with ValkeyServer(appendfsync="always") as valkey:
            environ = {**own, **SETTINGS, "BINDERY_REDIS_URL": valkey.url, "BINDERY_SHUTDOWN_DELAY": "1", **before}
            async with running(directory, environ) as fleet:
                await steps(fleet)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(taken())


KINDS: dict[str, Callable[[str], Mapping[str, str]]] = {
    "the Auth Token": lambda secret: basic(ACCOUNT, secret),
    "the secret of app tokens": bearer,
    "an API key": lambda secret: basic(FIRST_KEY if secret == OLD else SECOND_KEY, secret),
}


def test_what_callers_have(tmp_path: Path) -> None:
    """New and old together, the callers one after the other, then the new alone; three kinds at the same time."""
    before = {
        "BINDERY_AUTH_TOKEN": OLD,
        "BINDERY_JWT_SECRET": OLD,
        "BINDERY_API_KEYS": f"{FIRST_KEY}:{OLD}",
    }
    both = {
        "BINDERY_AUTH_TOKEN": NEW,
        "BINDERY_AUTH_TOKEN_OLD": OLD,
        "BINDERY_JWT_SECRET": NEW,
        "BINDERY_JWT_SECRET_OLD": OLD,
        "BINDERY_API_KEYS": f"{FIRST_KEY}:{OLD},{SECOND_KEY}:{NEW}",
    }
    after = {"BINDERY_AUTH_TOKEN_OLD": "", "BINDERY_JWT_SECRET_OLD": "", "BINDERY_API_KEYS": f"{SECOND_KEY}:{NEW}"}

    async def steps(fleet: Fleet) -> None:
        callers = {kind: Callers(fleet, made(OLD)) for kind, made in KINDS.items()}
        async with AsyncExitStack() as stack:
            for each in callers.values():
                await stack.enter_async_context(each.calling())
            await roll(fleet, **both)
            for kind, each in callers.items():
                each.credentials = KINDS[kind](NEW)
                await asyncio.sleep(5 * PAUSE_SECONDS)
            await roll(fleet, **after)
        for kind, each in callers.items():
            assert each.none_failed(), (kind, each.answers)
            assert await refused(fleet, KINDS[kind](OLD)), kind

    drill(tmp_path, before, steps)


def test_the_password_of_the_store(tmp_path: Path) -> None:
    """Its server takes two for as long as it takes; it lets those who have logged in stay."""

    async def steps(fleet: Fleet) -> None:
        path = Path(fleet.environ["BINDERY_REDIS_URL"].removeprefix("unix://"))

        async def say(*words: str) -> str:
            reader, writer = await asyncio.open_unix_connection(str(path))
            for line in words:
                writer.write(line.encode() + b"\r\n")
            answers = [(await reader.readline()).decode().strip() for _ in words]
            writer.close()
            return answers[-1]

        callers = Callers(fleet, basic(ACCOUNT, TOKEN))
        async with callers.calling():
            assert await say("ACL SETUSER default resetpass >first") == "+OK"
            await roll(fleet, BINDERY_REDIS_URL=f"unix://:first@{path}")
            assert await say("AUTH first", "ACL SETUSER default >second") == "+OK"
            await roll(fleet, BINDERY_REDIS_URL=f"unix://:second@{path}")
            assert await say("AUTH second", "ACL SETUSER default <first") == "+OK"
        assert callers.none_failed(), callers.answers
        assert (await say("AUTH first")).startswith("-WRONGPASS")

    drill(tmp_path, {}, steps)
