"""A cut-over and its undoing while apps register and back ends create: no request fails, nothing is lost."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from service.bootstrap import runtime
from service.settings import load
from tests.e2e.compatible.api_process import api_process
from tests.integration.upstream.pair import Pair, environment
from tests.integration.workers.bench import SERVICE
from tests.integration.workers.worker_process import WorkerProcess
from tests.servers.fault_proxy import FaultProxy
from tests.servers.valkey import ValkeyServer
from tests.waiting import eventually

CREDENTIALS = "AC" + "0" * 32, "t" * 32
CALLERS = 4


@pytest.fixture
def settings(valkey: ValkeyServer, proxy: FaultProxy, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Of all processes here; a worker runs."""
    valkey.call("FLUSHALL")
    environ = {
        **environment(valkey.url, proxy.url),
        "BINDERY_UPSTREAM_TIMEOUT": "5",
        "BINDERY_UPSTREAM_LONGEST_REQUEST": "5",
        "BINDERY_DATA_DIR": str(tmp_path),
    }
    with WorkerProcess(environ, tmp_path / "worker"):
        yield environ


@pytest.fixture
async def both(settings: dict[str, str], proxy: FaultProxy, upstream_url: str) -> AsyncIterator[Pair]:
    """To look at both sides."""
    async with runtime(load(settings)) as running:
        yield Pair(running, proxy, upstream_url)


class Load:
    """Apps and back ends, one request after the other, for new addresses and for such as they have used."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.owners: dict[str, str] = {}
        self.failed: list[str] = []
        self.count = 0
        self.over = False

    async def call(self, caller: int) -> None:
        """Until it is over."""
        number = 0
        while not self.over:
            number += 1
            # Every third one takes an earlier address over, or changes it.
            address = f"token-{caller}-{number if number % 3 else number // 3}"
            identity = f"user-{caller}-{number}"
            if number % 2:
                body = {"identity": identity, "binding_type": "fcm", "address": address}
                answer = await self._client.post("/v1/registrations", json=body)
            else:
                form = {"Identity": identity, "BindingType": "fcm", "Address": address}
                answer = await self._client.post(f"/v1/Services/{SERVICE}/Bindings", data=form)
            if answer.is_success:
                self.owners[address] = identity
            else:
                self.failed.append(f"{answer.status_code} {answer.text}")
            self.count += 1
            await asyncio.sleep(0.02)

    async def went_on(self, requests: int = 40) -> None:
        """So many more."""
        end = self.count + requests

        async def enough() -> bool:
            return self.count >= end

        await eventually(enough, 60)


async def cutover(environ: dict[str, str], *words: str) -> None:
    """The command, in a process of its own."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("BINDERY_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "service.cli", "cutover", SERVICE, *words, env={**bare, **environ}
    )
    assert await process.wait() == 0


@pytest.mark.slow
async def test_no_request_fails(both: Pair, settings: dict[str, str], tmp_path: Path) -> None:
    """There and back, twice; in the end the upstream holds just what was answered last."""
    with api_process(settings, tmp_path) as url:
        async with httpx.AsyncClient(base_url=url, auth=CREDENTIALS, timeout=20) as client:
            load = Load(client)
            calling = [asyncio.create_task(load.call(caller)) for caller in range(CALLERS)]
            await load.went_on()
            for _ in range(2):
                await cutover(settings)
                await load.went_on()
                await cutover(settings, "--undo")
                await load.went_on()
            load.over = True
            await asyncio.gather(*calling)
    assert load.failed == []

    async def settled() -> bool:
        return not await both.depth()

    await eventually(settled, 60)
    assert await both.owners() == load.owners
