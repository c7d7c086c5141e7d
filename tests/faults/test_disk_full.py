"""Valkey's disk full: what cannot be kept is not answered, what was answered stays, and room is all that it takes.

With `appendfsync always` Valkey ends itself rather than answer what it cannot keep, and whoever supervises it starts it
again; with `everysec` it goes on and refuses what writes (`MISCONF`).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import msgspec
import pytest

from tests.faults.client import Connection
from tests.faults.deployment import Deployment, deployed
from tests.faults.load import Plan
from tests.faults.proving import prove
from tests.faults.running import JSON, until

pytestmark = pytest.mark.slow


@pytest.fixture
def everysec(tmp_path: Path) -> Iterator[Deployment]:
    """A deployment whose Valkey flushes once a second."""
    with deployed(tmp_path, appendfsync="everysec") as running:
        yield running


def keep_running(deployment: Deployment) -> None:
    """Start Valkey again if it has ended, as whoever supervises it does."""
    if not deployment.valkey.running:
        # It may end at once, at the first write that somebody had waiting.
        with contextlib.suppress(RuntimeError):
            deployment.valkey.start()


async def kept_running(deployment: Deployment, seconds: float) -> None:
    """Do so for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await asyncio.to_thread(keep_running, deployment)
        await asyncio.sleep(0.02)


async def fill_disk(deployment: Deployment, dice: random.Random) -> None:
    """No room for some tenths of a second; then there is, Valkey is killed, and has what the disk has kept."""
    deployment.valkey.fill_disk(dice.choice((0, dice.randrange(20_000))))
    await kept_running(deployment, dice.uniform(0.3, 1.2))
    deployment.valkey.free_disk()
    await kept_running(deployment, 0.1)
    await deployment.ready()
    await asyncio.to_thread(deployment.valkey.kill)
    await asyncio.to_thread(deployment.valkey.start)
    await deployment.ready()


def test_nothing_answered_is_lost_when_the_disk_is_full(deployment: Deployment) -> None:
    """Whatever of it had been answered is there after the kill."""
    prove(deployment, fill_disk, times=3)


@pytest.mark.proof
def test_nothing_answered_is_lost_when_the_disk_is_full_in_the_long_run(deployment: Deployment) -> None:
    """The same with twice the clients, time and again."""
    prove(deployment, fill_disk, times=25, plan=Plan(clients=32, shared=16, pause=0.1))


async def fill_disk_and_go_on(deployment: Deployment, dice: random.Random) -> None:
    """No room for some tenths of a second, and a server that goes on all the while."""
    deployment.valkey.fill_disk(dice.choice((0, dice.randrange(20_000))))
    await asyncio.sleep(dice.uniform(0.3, 1.2))
    deployment.valkey.free_disk()
    await deployment.ready()


def test_nothing_answered_is_lost_when_writes_are_refused(everysec: Deployment) -> None:
    """Worker and API go through it."""
    prove(everysec, fill_disk_and_go_on, times=3)


async def register(connection: Connection, number: int) -> int:
    """The status of a registration."""
    wanted = {"identity": "alice", "binding_type": "apn", "address": f"{number:064x}", "device_id": f"d-{number}"}
    return (await connection.request("POST", "/v1/registrations", JSON, msgspec.json.encode(wanted))).status


async def log_out(connection: Connection, number: int) -> int:
    """The status of a logout."""
    named = {"identity": "alice", "device_id": f"d-{number}"}
    return (await connection.request("POST", "/v1/logouts", JSON, msgspec.json.encode(named))).status


async def shows(connection: Connection, *devices: str) -> bool:
    """Whether a lookup is answered, and shows just these."""
    answer = await connection.request("GET", "/v1/identities/alice/bindings", JSON)
    return answer.status == 200 and sorted(b["device_id"] for b in answer.json()["bindings"]) == sorted(devices)


async def accepts(connection: Connection) -> bool:
    """Whether a registration is taken."""
    return await register(connection, 2) in (200, 202)


async def refuses(deployment: Deployment) -> bool:
    """Whether Valkey has noticed that there is no room: it does so at a write."""
    try:
        await asyncio.to_thread(deployment.valkey.call, "SET", "something", "")
    except AssertionError as error:
        return "MISCONF" in str(error)
    return False


async def check_full(deployment: Deployment) -> None:
    """With no room, whatever writes is answered 503, logouts too; what was answered is shown all the while."""
    async with aclosing(deployment.connection()) as connection:
        await until(lambda: shows(connection, "d-1"), "a lookup is answered")
        assert await register(connection, 2) == 503
        assert await log_out(connection, 1) == 503
        assert await shows(connection, "d-1")


def test_a_full_disk_takes_nothing_and_shows_what_there_is(everysec: Deployment) -> None:
    """A new API process does so too; once there is room, everything goes on by itself."""

    async def run() -> None:
        await everysec.ready()
        async with aclosing(everysec.connection()) as connection:
            assert await register(connection, 1) == 202
            await everysec.converged()
        everysec.valkey.fill_disk(0)
        await until(lambda: refuses(everysec), "there is no room")
        await check_full(everysec)
        everysec.api.kill()
        everysec.api.start()
        await check_full(everysec)
        everysec.valkey.free_disk()
        async with aclosing(everysec.connection()) as connection:
            await until(lambda: accepts(connection), "a registration is taken again")
            await everysec.converged()
            assert await shows(connection, "d-1", "d-2")
        assert everysec.dead_letters() == 0

    asyncio.run(run())
