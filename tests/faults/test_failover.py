"""A primary that fails under load: with replicas that must confirm it, nothing that was answered is lost.

The watched primary has two replicas, those of the Cluster one each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, aclosing
from pathlib import Path

import msgspec
import pytest

from tests.faults.client import Connection
from tests.faults.failover import Failure, Replicated, clustered, kill_primary, pause_primary, watched
from tests.faults.load import Plan
from tests.faults.proving import prove
from tests.faults.running import JSON

pytestmark = pytest.mark.slow

Topology = Callable[..., AbstractContextManager[Replicated]]


@pytest.mark.parametrize(
    ("topology", "failure", "replicas"),
    [(watched, pause_primary, 2), (watched, kill_primary, 1), (clustered, kill_primary, 1)],
)
def test_nothing_answered_is_lost_when_the_primary_fails(
    tmp_path: Path, topology: Topology, failure: Failure, replicas: int
) -> None:
    """Replicas confirm whatever is answered, one takes over: any of them for a dead primary, all for a stopped one."""
    with topology(tmp_path, replicas=replicas) as deployment:
        prove(deployment, failure, times=1)


@pytest.mark.parametrize(("replicas", "status"), [(1, 200), (2, 503)])
def test_a_primary_that_was_replaced_answers_what_a_replica_of_its_own_confirms(
    tmp_path: Path, replicas: int, status: int
) -> None:
    """One replica has taken over while another still follows the old primary: only the consent of all shows it."""

    async def run(deployment: Replicated) -> None:
        await deployment.ready()
        async with aclosing(deployment.connection()) as connection:
            await register(deployment, connection)
            primary = deployment.primary()
            next(server for server in deployment.servers if server is not primary).call("REPLICAOF", "NO", "ONE")
            assert await log_out(connection) == status

    with watched(tmp_path, replicas=replicas) as deployment:
        asyncio.run(run(deployment))


@pytest.mark.parametrize(("replicas", "status"), [pytest.param(0, 200, marks=pytest.mark.proof), (1, 503)])
def test_what_a_failover_may_undo(tmp_path: Path, replicas: int, status: int) -> None:
    """A logout that no replica has heard of: without their consent it is answered, and undone; with it, it is not."""

    async def run(deployment: Replicated) -> None:
        await deployment.ready()
        async with aclosing(deployment.connection()) as connection:
            await register(deployment, connection)
            primary = deployment.primary()
            others = [server for server in deployment.servers if server is not primary]
            for server in others:
                server.pause()
            # The connections are gone, and with them what was on its way.
            primary.call("CLIENT", "KILL", "TYPE", "replica")
            assert await log_out(connection) == status
            primary.kill()
            for server in others:
                server.resume()
            await deployment.replaced(primary)
            primary.start()
            await deployment.ready()
            assert await shown(connection) == ["d-1"]

    with watched(tmp_path, replicas=replicas) as deployment:
        asyncio.run(run(deployment))


async def register(deployment: Replicated, connection: Connection) -> None:
    """Register a device, until all is applied and every replica knows it."""
    wanted = {"identity": "alice", "binding_type": "apn", "address": "a" * 64, "device_id": "d-1"}
    assert (await connection.request("POST", "/v1/registrations", JSON, msgspec.json.encode(wanted))).status == 202
    await deployment.converged()
    await deployment.in_step()


async def log_out(connection: Connection) -> int:
    """The status of a logout."""
    named = {"identity": "alice", "device_id": "d-1"}
    return (await connection.request("POST", "/v1/logouts", JSON, msgspec.json.encode(named))).status


async def shown(connection: Connection) -> list[str]:
    """The devices that a lookup shows."""
    answer = await connection.request("GET", "/v1/identities/alice/bindings", JSON)
    assert answer.status == 200, answer
    return [binding["device_id"] for binding in answer.json()["bindings"]]


@pytest.mark.proof
@pytest.mark.parametrize(
    ("topology", "failure", "replicas"),
    [
        (watched, kill_primary, 1),
        (watched, pause_primary, 2),
        (clustered, kill_primary, 1),
        (clustered, pause_primary, 1),
    ],
)
def test_nothing_answered_is_lost_in_the_long_run(
    tmp_path: Path, topology: Topology, failure: Failure, replicas: int
) -> None:
    """The same with twice the clients, time and again."""
    with topology(tmp_path, replicas=replicas) as deployment:
        prove(deployment, failure, times=4, plan=Plan(clients=32, shared=16, pause=0.1))


@pytest.mark.proof
@pytest.mark.parametrize("failure", [kill_primary, pause_primary])
@pytest.mark.parametrize("topology", [watched, clustered])
def test_without_consent_what_is_left_is_sound(tmp_path: Path, topology: Topology, failure: Failure) -> None:
    """Answers may come undone, but no address has two owners, no identity too many, and all is applied."""
    with topology(tmp_path, replicas=0) as deployment:
        prove(deployment, failure, times=3, lossy=True)
