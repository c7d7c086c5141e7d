"""Jobs that killed workers have left locked at the head of the queue: new work does not wait until they are free."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing

import msgspec
import pytest

from tests.faults.client import Connection
from tests.faults.deployment import Deployment
from tests.faults.proving import prove
from tests.faults.running import JSON, until

pytestmark = pytest.mark.slow

# What workers leave that are killed at their jobs, any number of times: each job with its lock, older than all others.
LEAVE = """
redis.call('SELECT', 1)
for n = 1, ARGV[1] do
  local id = 'orphan-' .. ARGV[2] .. '-' .. n
  redis.call('SET', 'arq:job:' .. id, ARGV[3], 'PX', 600000)
  redis.call('SET', 'arq:in-progress:' .. id, '1', 'PX', 30000)
  redis.call('ZADD', 'bindery:jobs', n, id)
end
"""
LOCKED = "redis.call('SELECT', 1) return #redis.call('KEYS', 'arq:in-progress:orphan-*')"


def leave(deployment: Deployment, count: int, name: str = "") -> None:
    """So many orphaned jobs."""
    deployment.valkey.call("EVAL", LEAVE, "0", count, name, msgspec.msgpack.encode({"f": "drain_lane"}))


async def register(connection: Connection, number: int) -> None:
    """Register a device of alice's."""
    wanted = {"identity": "alice", "binding_type": "apn", "address": f"{number:064x}", "device_id": f"d-{number}"}
    answer = await connection.request("POST", "/v1/registrations", JSON, msgspec.json.encode(wanted))
    assert answer.status == 202


async def applied(connection: Connection, number: int) -> bool:
    """Whether it is."""
    answer = await connection.request("GET", "/v1/identities/alice/bindings", JSON)
    states = {binding["device_id"]: binding["state"] for binding in answer.json()["bindings"]}
    return bool(states[f"d-{number}"] == "applied")


@pytest.mark.parametrize("count", [250, 600, 2000])
def test_new_work_does_not_wait_for_orphaned_jobs(deployment: Deployment, count: int) -> None:
    """More of them than arq reads at a time, or than any worker asks for: what is new is applied as ever."""

    async def run() -> None:
        await deployment.ready()
        async with aclosing(deployment.connection()) as connection:
            await asyncio.to_thread(leave, deployment, count)
            for number in range(5):
                await register(connection, number)
                # Sooner than any sweep could find it, which would be of no use either.
                await until(lambda n=number: applied(connection, n), "it is applied", 0.9)  # type: ignore[misc]
        assert deployment.valkey.call("EVAL", LOCKED, "0") == count

    asyncio.run(run())


async def orphan_jobs(deployment: Deployment, dice: random.Random) -> None:
    """Some hundred jobs more, and a worker that is killed at its own."""
    await asyncio.to_thread(leave, deployment, dice.choice((250, 600)), f"{dice.random()}")
    deployment.worker.kill()
    deployment.worker.start()
    await deployment.ready()


def test_nothing_answered_is_lost_behind_orphaned_jobs(deployment: Deployment) -> None:
    """The contract holds, and nothing stays owed."""
    prove(deployment, orphan_jobs, times=3)
