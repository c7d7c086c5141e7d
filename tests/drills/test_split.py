"""A Service that has grown too large is split by app, as the runbook says, while its apps go on registering."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvloop

from tests.faults.client import Connection
from tests.faults.fleet import Fleet, running
from tests.faults.running import JSON, SETTINGS, until
from tests.servers.valkey import ValkeyServer

pytestmark = pytest.mark.slow

OLD, NEW = "IS" + "a" * 32, "IS" + "b" * 32
STAYS, GOES = "CR" + "1" * 32, "CR" + "2" * 32
"""The credentials of two apps, which tell them apart."""

DEVICES = 40


def services(*names_and_sids: tuple[str, str]) -> str:
    """A Services file."""
    return "\n".join(f'[[service]]\nname = "{name}"\nsid = "{sid}"\n' for name, sid in names_and_sids)


async def ask(connection: Connection, method: str, path: str, **body: str) -> Any:
    """A server's request, which succeeds."""
    answer = await connection.request(method, path, JSON, msgspec.json.encode(body) if body else b"")
    assert answer.status < 300, answer
    return answer.json() if answer.body else None


async def register(connection: Connection, service: str, number: int, app: str) -> None:
    """A device of an app registers."""
    wanted = {"binding_type": "apn", "address": f"{number:064x}", "device_id": f"device-{number}"}
    path = f"/v1/registrations?service={service}"
    await ask(connection, "POST", path, identity=f"user-{number}", credential_sid=app, **wanted)


async def bindings(connection: Connection, service: str, number: int) -> list[dict[str, Any]]:
    """What a user has in a Service."""
    found = await ask(connection, "GET", f"/v1/identities/user-{number}/bindings?service={service}")
    listed: list[dict[str, Any]] = found["bindings"]
    return listed


def bindery(environ: Mapping[str, str], *words: str) -> None:
    """The command line."""
    command = [sys.executable, "-m", "service.cli", *words]
    done = subprocess.run(command, env=dict(environ), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


async def split(fleet: Fleet, file: Path, archives: Path) -> None:
    """The steps of the runbook."""
    connection = fleet.connection()
    for number in range(DEVICES):
        await register(connection, "shop", number, GOES if number % 2 else STAYS)
    await connection.aclose()
    await asyncio.to_thread(file.write_text, services(("shop", OLD), ("bank", NEW)))
    await fleet.replace_api()
    await fleet.replace_worker()
    # Some have their app started anew before the copy: that is newer, and stays.
    await register(connection, "bank", 1, GOES)
    await asyncio.to_thread(bindery, fleet.environ, "export", str(archives / "all.ndjson"), "--service", "shop")
    first, *lines = (archives / "all.ndjson").read_text().splitlines()
    part = [line for line in lines if json.loads(line)["credential_sid"] == GOES]
    (archives / "part.ndjson").write_text("\n".join([first, *part]) + "\n")
    await asyncio.to_thread(bindery, fleet.environ, "import", str(archives / "part.ndjson"), "--service", "bank")
    for number in range(1, DEVICES, 2):
        for binding in await bindings(connection, "shop", number):
            await ask(connection, "DELETE", f"/v1/registrations/{binding['id']}?service=shop")

    async def applied() -> bool:
        found = [b for number in range(1, DEVICES, 2) for b in await bindings(connection, "bank", number)]
        return len(found) == DEVICES // 2 and all(b["state"] == "applied" for b in found)

    await until(applied, "the new one has them all")
    for number in range(DEVICES):
        there = {name: len(await bindings(connection, name, number)) for name in ("shop", "bank")}
        assert there == ({"shop": 0, "bank": 1} if number % 2 else {"shop": 1, "bank": 0}), number
    # And the app's next start changes nothing.
    [before] = await bindings(connection, "bank", 3)
    await register(connection, "bank", 3, GOES)
    [after] = await bindings(connection, "bank", 3)
    assert after["id"] == before["id"]
    await connection.aclose()


def test_an_app_gets_a_service_of_its_own(tmp_path: Path) -> None:
    """Each device is in one of the two in the end, and applied."""
    file = tmp_path / "services.toml"
    file.write_text(services(("shop", OLD)))
    own = {name: value for name, value in os.environ.items() if not name.startswith("BINDERY_")}
    shared = {name: value for name, value in SETTINGS.items() if name != "BINDERY_SERVICE_SID"}

    async def drill(url: str) -> None:
        environ = {**own, **shared, "BINDERY_SERVICES_FILE": str(file), "BINDERY_REDIS_URL": url}
        async with running(tmp_path, environ) as fleet:
            await split(fleet, file, tmp_path)

    with ValkeyServer() as valkey, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(drill(valkey.url))
