"""The store's data lost, and brought back as the runbook says; or not brought back at all."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import uvloop

from tests.faults.client import Answer, Connection
from tests.faults.deployment import Deployment, deployed
from tests.faults.running import JSON, until
from tests.servers.valkey import ValkeyServer, wait_until

pytestmark = pytest.mark.slow

FILES = "appendonlydir"


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    """API, worker and a Valkey."""
    with deployed(tmp_path) as running:
        yield running


def run(deployment: Deployment, drill: Callable[[Connection], Awaitable[None]]) -> None:
    """Run a drill on a deployment that serves."""

    async def ready() -> None:
        await deployment.ready()
        connection = deployment.connection()
        await drill(connection)
        await connection.aclose()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(ready())


async def post(connection: Connection, path: str, **body: str) -> Answer:
    """What a server asks for."""
    return await connection.request("POST", path, JSON, msgspec.json.encode(body))


async def register(connection: Connection, identity: str, number: int) -> str:
    """Register a device; answers the id of the registration."""
    wanted = {"binding_type": "apn", "address": f"{number:064x}", "device_id": f"device-{number}"}
    answer = await post(connection, "/v1/registrations", identity=identity, **wanted)
    assert answer.status in {200, 202}, answer
    found: str = answer.json()["id"]
    return found


async def owners(connection: Connection, *identities: str) -> dict[str, int]:
    """How many bindings each has."""
    found = {}
    for identity in identities:
        answer = await connection.request("GET", f"/v1/identities/{identity}/bindings", JSON)
        assert answer.status == 200
        found[identity] = len(answer.json()["bindings"])
    return found


def back_up_files(valkey: ValkeyServer, to: Path) -> None:
    """Copy the append-only files of a running server, none of which is rewritten meanwhile."""
    valkey.call("CONFIG", "SET", "auto-aof-rewrite-percentage", "0")
    wait_until(lambda: b"aof_rewrite_in_progress:0" in info(valkey), "no file is being rewritten")
    shutil.copytree(valkey.directory / FILES, to / FILES)
    valkey.call("CONFIG", "SET", "auto-aof-rewrite-percentage", "100")


def restore_files(valkey: ValkeyServer, kept: Path) -> None:
    """Put them in the place of what a stopped server has."""
    shutil.rmtree(valkey.directory / FILES)
    shutil.copytree(kept / FILES, valkey.directory / FILES)
    valkey.start()


def back_up_snapshot(valkey: ValkeyServer, to: Path) -> None:
    """Have a snapshot written, and copy it."""
    valkey.call("BGSAVE")
    wait_until(lambda: b"rdb_bgsave_in_progress:0" in info(valkey), "the snapshot is written")
    shutil.copy(valkey.directory / "dump.rdb", to)


def restore_snapshot(valkey: ValkeyServer, kept: Path) -> None:
    """Start without an append-only file, for with one the server would look at nothing else, and begin one then."""
    shutil.rmtree(valkey.directory / FILES)
    shutil.copy(kept / "dump.rdb", valkey.directory)
    valkey.add_option("--appendonly", "no")
    valkey.start()
    wait_until(lambda: b"loading:0" in info(valkey), "the snapshot is loaded")
    valkey.call("CONFIG", "SET", "appendonly", "yes")
    wait_until(lambda: b"aof_rewrite_in_progress:0" in info(valkey), "the append-only file is begun")
    valkey.stop()
    # From here on as it was configured.
    valkey.add_option("--appendonly", "yes")
    valkey.start()


def info(valkey: ValkeyServer) -> bytes:
    """What the server says of its files."""
    found = valkey.call("INFO", "persistence")
    assert isinstance(found, bytes)
    return found


@pytest.mark.parametrize(
    ("back_up", "restore"),
    [(back_up_files, restore_files), (back_up_snapshot, restore_snapshot)],
    ids=["append-only files", "snapshot"],
)
def test_a_backup_is_the_store_as_of_then(
    deployment: Deployment,
    tmp_path: Path,
    back_up: Callable[[ValkeyServer, Path], None],
    restore: Callable[[ValkeyServer, Path], None],
) -> None:
    """What it has is there, what came later is not, logouts included; and no id is given out twice."""

    async def drill(connection: Connection) -> None:
        await register(connection, "alice", 1)
        await register(connection, "bob", 2)
        await deployment.converged()
        kept = tmp_path / "kept"
        kept.mkdir()
        await asyncio.to_thread(back_up, deployment.valkey, kept)
        later = await register(connection, "carol", 3)
        assert (await post(connection, "/v1/logouts", identity="bob")).json() == {"ended": 1}
        deployment.valkey.kill()
        await asyncio.to_thread(restore, deployment.valkey, kept)
        # Nothing of Bindery is started again.
        await deployment.ready()
        assert await owners(connection, "alice", "bob", "carol") == {"alice": 1, "bob": 1, "carol": 0}
        assert await register(connection, "carol", 3) != later
        await deployment.converged()
        assert await owners(connection, "carol") == {"carol": 1}

    run(deployment, drill)


def test_a_store_without_a_backup_is_filled_by_the_apps(deployment: Deployment) -> None:
    """It comes up empty, is served from at once, and what apps register at their next starts is there again."""

    async def drill(connection: Connection) -> None:
        before = await register(connection, "alice", 1)
        deployment.valkey.kill()
        shutil.rmtree(deployment.valkey.directory / FILES)
        await asyncio.to_thread(deployment.valkey.start)
        await deployment.ready()
        assert await owners(connection, "alice") == {"alice": 0}
        assert await register(connection, "alice", 1) != before
        await deployment.converged()
        assert await owners(connection, "alice") == {"alice": 1}

    run(deployment, drill)


def test_a_lost_queue_loses_nothing(deployment: Deployment) -> None:
    """With every key of it gone, what is owed is found by the next sweep."""

    async def drill(connection: Connection) -> None:
        deployment.worker.stop()
        for number in range(20):
            await register(connection, f"user-{number}", number)
        assert deployment.owed() == 20
        flush(deployment)
        deployment.worker.go_on()
        await until(lambda: deployment.owed() == 0, "all is applied")

    run(deployment, drill)


def flush(deployment: Deployment) -> None:
    """Lose the queue, which has a database of its own."""
    queue = "return redis.call('FLUSHDB')"
    deployment.valkey.call("EVAL", f"redis.call('SELECT', 1) {queue}", 0)
