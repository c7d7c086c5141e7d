"""Each secret that rotates does so as the runbook says, under load: no request fails, the old one becomes worthless."""

from __future__ import annotations

import asyncio
import os
import time
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
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

CALLERS, PAUSE_SECONDS = 8, 0.02
KEY = "SK" + "7" * 32
OLD, NEW = "the old one of 32 bytes, or more, here", "the new one of 32 bytes, or more, here"

Credentials = Callable[[], Mapping[str, str]]


def basic(user: str, password: str) -> dict[str, str]:
    """What a server sends."""
    return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}


def bearer(secret: str) -> dict[str, str]:
    """What an app sends, just logged in."""
    now = int(time.time())
    claims = {"sub": "alice", "iat": now, "exp": now + 600}
    return {"Authorization": f"Bearer {jwt.encode(claims, secret, algorithm='HS256')}"}


class Callers:
    """They register, several at a time, with the credentials that are theirs just now."""

    def __init__(self, fleet: Fleet, credentials: Credentials) -> None:
        self.fleet, self.credentials = fleet, credentials
        self.answers: Counter[str] = Counter()
        self._ending = False

    async def register(self, connection: Connection, headers: Mapping[str, str]) -> int:
        """One registration, which is the same every time; its status."""
        wanted = {"binding_type": "apn", "address": "ab" * 32, "device_id": "phone"}
        if headers["Authorization"].startswith("Basic"):
            wanted["identity"] = "alice"
        sent = {**headers, "Content-Type": "application/json"}
        return (await connection.request("POST", "/v1/registrations", sent, msgspec.json.encode(wanted))).status

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
                self.answers[str(await self.register(connection, self.credentials()))] += 1
            except Lost as lost:
                self.answers[str(lost)] += 1
            await asyncio.sleep(PAUSE_SECONDS)
        await connection.aclose()


async def roll(fleet: Fleet, **settings: str) -> None:
    """Change settings, and replace everything; an empty one is taken away."""
    fleet.environ.update(settings)
    await fleet.replace_api()
    await fleet.replace_worker()


Steps = Callable[[Fleet, Callers], Awaitable[None]]


def rotate(directory: Path, before: dict[str, str], credentials: Credentials, steps: Steps) -> Counter[str]:
    """Rotate under load; answers how the callers were answered."""

    async def drill() -> Counter[str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("BINDERY_")}
        with ValkeyServer(appendfsync="always") as valkey:
            environ = {**own, **SETTINGS, "BINDERY_REDIS_URL": valkey.url, "BINDERY_SHUTDOWN_DELAY": "1", **before}
            async with running(directory, environ) as fleet:
                callers = Callers(fleet, credentials)
                async with callers.calling():
                    await steps(fleet, callers)
                return callers.answers

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(drill())


async def refused(callers: Callers, headers: Mapping[str, str]) -> bool:
    """Whether these credentials are worth nothing."""
    connection = callers.fleet.connection()
    status = await callers.register(connection, headers)
    await connection.aclose()
    return status == 401


def none_failed(answers: Counter[str]) -> bool:
    """Whether every request was taken; there were some."""
    return answers.total() > 50 and set(answers) <= {"200", "202"}


async def change_over(fleet: Fleet, callers: Callers, setting: str, made: Callable[[str], Mapping[str, str]]) -> None:
    """New and old together, the callers one after the other, then the new one alone."""
    await roll(fleet, **{setting: NEW, f"{setting}_OLD": OLD})
    callers.credentials = lambda: made(NEW)
    await asyncio.sleep(10 * PAUSE_SECONDS)
    await roll(fleet, **{f"{setting}_OLD": ""})
    assert await refused(callers, made(OLD))


def test_the_auth_token(tmp_path: Path) -> None:
    """BINDERY_AUTH_TOKEN and BINDERY_AUTH_TOKEN_OLD."""

    def made(token: str) -> Mapping[str, str]:
        return basic(ACCOUNT, token)

    async def steps(fleet: Fleet, callers: Callers) -> None:
        await change_over(fleet, callers, "BINDERY_AUTH_TOKEN", made)

    assert none_failed(rotate(tmp_path, {"BINDERY_AUTH_TOKEN": OLD}, lambda: made(OLD), steps))


def test_the_secret_of_app_tokens(tmp_path: Path) -> None:
    """BINDERY_JWT_SECRET and BINDERY_JWT_SECRET_OLD."""

    async def steps(fleet: Fleet, callers: Callers) -> None:
        await change_over(fleet, callers, "BINDERY_JWT_SECRET", bearer)

    assert none_failed(rotate(tmp_path, {"BINDERY_JWT_SECRET": OLD}, lambda: bearer(OLD), steps))


def test_an_api_key(tmp_path: Path) -> None:
    """A second one of the same name stands beside the first for as long as it takes."""

    async def steps(fleet: Fleet, callers: Callers) -> None:
        other = "SK" + "8" * 32
        await roll(fleet, BINDERY_API_KEYS=f"{KEY}:{OLD.replace(',', '')},{other}:{NEW.replace(',', '')}")
        callers.credentials = lambda: basic(other, NEW.replace(",", ""))
        await asyncio.sleep(10 * PAUSE_SECONDS)
        await roll(fleet, BINDERY_API_KEYS=f"{other}:{NEW.replace(',', '')}")
        assert await refused(callers, basic(KEY, OLD.replace(",", "")))

    before = {"BINDERY_API_KEYS": f"{KEY}:{OLD.replace(',', '')}"}
    assert none_failed(rotate(tmp_path, before, lambda: basic(KEY, OLD.replace(",", "")), steps))


def test_the_password_of_the_store(tmp_path: Path) -> None:
    """Its server takes two for as long as it takes; it lets those who have logged in stay."""

    async def steps(fleet: Fleet, callers: Callers) -> None:  # noqa: ARG001  # they never see it
        path = Path(fleet.environ["BINDERY_REDIS_URL"].removeprefix("unix://"))

        async def say(*words: str) -> str:
            reader, writer = await asyncio.open_unix_connection(str(path))
            for line in words:
                writer.write(line.encode() + b"\r\n")
            answers = [(await reader.readline()).decode().strip() for _ in words]
            writer.close()
            return answers[-1]

        assert await say("ACL SETUSER default resetpass >first") == "+OK"
        await roll(fleet, BINDERY_REDIS_URL=f"unix://:first@{path}")
        assert await say("AUTH first", "ACL SETUSER default >second") == "+OK"
        await roll(fleet, BINDERY_REDIS_URL=f"unix://:second@{path}")
        assert await say("AUTH second", "ACL SETUSER default <first") == "+OK"
        assert (await say("AUTH first")).startswith("-WRONGPASS")

    assert none_failed(rotate(tmp_path, {}, lambda: basic(ACCOUNT, TOKEN), steps))
