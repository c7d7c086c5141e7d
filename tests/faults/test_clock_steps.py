"""Clocks that are an hour ahead or behind, and are set while everything runs.

All times that decide anything are the store's own. The API's clock says one thing alone: whether a token is accepted.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import msgspec
import pytest

from tests.faults.client import Connection
from tests.faults.clock import HOUR
from tests.faults.deployment import Deployment, deployed
from tests.faults.load import Plan
from tests.faults.proving import prove
from tests.faults.running import JSON, app_headers, until

pytestmark = pytest.mark.slow

SHORT_LIFE = 60
"""Seconds that a token may live here at most."""


async def set_clocks(deployment: Deployment, dice: random.Random) -> None:
    """Set the clocks of API and worker, each an hour ahead, an hour behind, or right; and lose the queue."""
    deployment.api_clock.step(dice.choice((-HOUR, 0, HOUR)))
    deployment.worker_clock.step(dice.choice((-HOUR, 0, HOUR)))
    await asyncio.sleep(dice.uniform(0.05, 0.3))
    await asyncio.to_thread(lose_the_queue, deployment)


def lose_the_queue(deployment: Deployment) -> None:
    """Every key of it."""
    deployment.valkey.call("EVAL", "redis.call('SELECT', 1) return redis.call('FLUSHDB')", "0")


PLAN = Plan(lifetimes=(1800, 7200), refusable=True)


def test_nothing_answered_is_lost_when_clocks_are_set(deployment: Deployment) -> None:
    """Tokens may be refused; the contract holds, and all is applied with the clocks as they are."""
    prove(deployment, set_clocks, times=6, plan=PLAN)


@pytest.mark.proof
def test_nothing_answered_is_lost_when_clocks_are_set_in_the_long_run(deployment: Deployment) -> None:
    """The same with twice the clients, and many more steps."""
    plan = Plan(clients=32, shared=16, pause=0.1, lifetimes=PLAN.lifetimes, refusable=True)
    prove(deployment, set_clocks, times=60, plan=plan)


async def connected(deployment: Deployment, run: Callable[[Connection], Awaitable[None]]) -> None:
    """Do something over a connection, once the deployment is ready."""
    await deployment.ready()
    async with aclosing(deployment.connection()) as connection:
        await run(connection)


async def register(
    connection: Connection, number: int, issued_at: int | None = None, lifetime: int = SHORT_LIFE
) -> int:
    """Register a device as a server, or as an app with a token of that time; answers the status."""
    headers = JSON if issued_at is None else app_headers("alice", f"session-{issued_at}", issued_at, lifetime)
    wanted = {"binding_type": "apn", "address": f"{number:064x}", "device_id": f"d-{number}"}
    wanted |= {"identity": "alice"} if issued_at is None else {}
    return (await connection.request("POST", "/v1/registrations", headers, msgspec.json.encode(wanted))).status


async def applied(connection: Connection, number: int) -> bool:
    """Whether a device's registration is."""
    answer = await connection.request("GET", "/v1/identities/alice/bindings", JSON)
    states = {binding["device_id"]: binding["state"] for binding in answer.json()["bindings"]}
    return bool(states[f"d-{number}"] == "applied")


def test_no_job_waits_for_a_clock(deployment: Deployment) -> None:
    """A job of an API an hour ahead is run by a worker an hour behind, and the other way round, as soon as ever."""

    async def run(connection: Connection) -> None:
        steps = itertools.product((HOUR, -HOUR), repeat=2)
        for number, (api, worker) in enumerate(steps):
            deployment.api_clock.step(api)
            deployment.worker_clock.step(worker)
            assert await register(connection, number) == 202
            # Sooner than any sweep could find it.
            await until(lambda n=number: applied(connection, n), "it is applied", 0.9)  # type: ignore[misc]

    asyncio.run(connected(deployment, run))


def test_the_sweep_goes_on_when_the_worker_s_clock_is_set(deployment: Deployment) -> None:
    """What only the sweep can find is applied as soon as with clocks left alone."""

    async def run(connection: Connection) -> None:
        for number, stepped in enumerate((HOUR, -HOUR)):
            deployment.worker_clock.step(stepped)
            deployment.worker.stop()
            assert await register(connection, number) == 202
            await asyncio.to_thread(lose_the_queue, deployment)
            deployment.worker.go_on()
            await until(lambda n=number: applied(connection, n), "it is found", 6.0)  # type: ignore[misc]

    asyncio.run(connected(deployment, run))


def test_the_api_s_clock_decides_on_tokens_alone(tmp_path: Path) -> None:
    """Ahead it refuses tokens early, behind it refuses new ones; what servers ask for it takes all the same."""

    async def run(deployment: Deployment, connection: Connection) -> None:
        now = int(time.time())
        assert await register(connection, 1, now) == 202
        deployment.api_clock.step(HOUR)
        assert await register(connection, 2, now) == 401
        deployment.api_clock.step(-HOUR)
        assert await register(connection, 3, now) == 401
        assert await register(connection, 4) == 202
        deployment.api_clock.step(0)
        assert await register(connection, 5, int(time.time())) == 202

    with deployed(tmp_path, settings={"BINDERY_JWT_MAX_TTL": str(SHORT_LIFE)}) as deployment:
        asyncio.run(connected(deployment, lambda connection: run(deployment, connection)))


def test_a_clock_that_is_behind_brings_no_dead_session_back(tmp_path: Path) -> None:
    """A token outlives its time at an API whose clock is an hour behind; it must not outlive the fence as well."""

    async def run(deployment: Deployment, connection: Connection) -> None:
        deployment.api_clock.step(-HOUR)
        # By the API's clock this token is good for a minute; every fence against it ended nearly an hour ago.
        assert await register(connection, 1, int(time.time() - HOUR)) == 401

    with deployed(tmp_path, settings={"BINDERY_JWT_MAX_TTL": str(SHORT_LIFE)}) as deployment:
        asyncio.run(connected(deployment, lambda connection: run(deployment, connection)))
