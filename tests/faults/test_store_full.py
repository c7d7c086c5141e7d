"""Valkey out of memory: writes are refused, logouts are not, and what was answered stays."""

from __future__ import annotations

import asyncio
import random

import msgspec
import pytest

from tests.faults.client import Connection
from tests.faults.deployment import Deployment
from tests.faults.proving import prove
from tests.faults.running import JSON, until

pytestmark = pytest.mark.slow


def fill(deployment: Deployment) -> None:
    """Leave no memory for anything new."""
    deployment.valkey.call("CONFIG", "SET", "maxmemory", "1mb")


def relieve(deployment: Deployment) -> None:
    """No limit again."""
    deployment.valkey.call("CONFIG", "SET", "maxmemory", "0")


async def register(connection: Connection, number: int) -> tuple[int, str]:
    """The status and the problem of a registration."""
    wanted = {"identity": "alice", "binding_type": "apn", "address": f"{number:064x}", "device_id": f"d-{number}"}
    answer = await connection.request("POST", "/v1/registrations", JSON, msgspec.json.encode(wanted))
    return answer.status, answer.json().get("type", "")


async def shown(connection: Connection) -> list[str]:
    """The devices that a lookup shows."""
    answer = await connection.request("GET", "/v1/identities/alice/bindings", JSON)
    assert answer.status == 200
    return [binding["device_id"] for binding in answer.json()["bindings"]]


def test_a_full_store_refuses_registrations_and_lets_logouts_through(deployment: Deployment) -> None:
    """503 store-full for what is new, 200 for what ends; and once there is room, everything goes on."""

    async def run() -> None:
        await deployment.ready()
        connection = deployment.connection()
        assert (await register(connection, 1))[0] == 202
        assert (await register(connection, 2))[0] == 202
        await asyncio.to_thread(fill, deployment)
        assert await register(connection, 3) == (503, "urn:bindery:problem:store-full")
        logout = msgspec.json.encode({"identity": "alice", "device_id": "d-1"})
        answer = await connection.request("POST", "/v1/logouts", JSON, logout)
        assert (answer.status, answer.json()) == (200, {"ended": 1})
        assert await shown(connection) == ["d-2"]
        await asyncio.to_thread(relieve, deployment)
        await until(lambda: registered(connection), "a registration is taken again")
        await deployment.converged()
        assert sorted(await shown(connection)) == ["d-2", "d-3"]
        assert deployment.dead_letters() == 0
        await connection.aclose()

    async def registered(connection: Connection) -> bool:
        return (await register(connection, 3))[0] in (200, 202)

    asyncio.run(run())


async def fill_memory(deployment: Deployment, dice: random.Random) -> None:
    """Out of memory for some hundred milliseconds."""
    await asyncio.to_thread(fill, deployment)
    await asyncio.sleep(dice.uniform(0.1, 0.6))
    await asyncio.to_thread(relieve, deployment)
    await deployment.ready()


def test_nothing_answered_is_lost_when_memory_runs_out(deployment: Deployment) -> None:
    """Worker and API go through it without losing what they have answered, or taken."""
    prove(deployment, fill_memory, times=3)
