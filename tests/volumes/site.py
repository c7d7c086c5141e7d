"""A Bindery of real processes whose bindings a second Bindery holds, and the proxy between the two."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx

from tests.faults.deployment import Deployment, deployed
from tests.faults.running import ACCOUNT, SERVICE, TOKEN, until
from tests.servers.fault_proxy import FaultProxy

_LOOK_SECONDS = 0.25
_STARTED_SECONDS = 40.0


class Site:
    """The two, and what tests ask of them."""

    def __init__(self, here: Deployment, there: Deployment, proxy: FaultProxy) -> None:
        self.here, self.there, self.proxy = here, there, proxy

    async def settled(self, deadline: float) -> float:
        """Return once nothing is owed; answers after how many seconds.

        Raises:
            TimeoutError: it did not come to that in time.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        # In a thread: the proxy goes on meanwhile.
        while owed := await asyncio.to_thread(self.here.owed):
            if loop.time() - began > deadline:
                raise TimeoutError(f"{owed} entries are still owed after {deadline} s")
            await asyncio.sleep(_LOOK_SECONDS)
        return loop.time() - began

    async def replace_workers(self) -> None:
        """Kill every worker, and start others."""
        for worker in self.here.workers:
            worker.kill()
        for worker in self.here.workers:
            worker.start()
        for worker in self.here.workers:
            await until(worker.up, f"the {worker.name} has started", _STARTED_SECONDS)

    def lose_queue(self) -> None:
        """Every key of the job queue's database goes."""
        self.here.valkey.call("EVAL", "redis.call('SELECT', 1) return redis.call('FLUSHDB')", 0)

    def vanished(self) -> int:
        """Registrations that were taken for dead since the upstream held nothing of them, as far back as events go."""
        count = "local n = 0 for _, e in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do "
        count += "for _, field in ipairs(e[2]) do if field == 'vanished' then n = n + 1 end end end return n"
        found = self.here.valkey.call("EVAL", count, 1, f"{{{SERVICE}}}:e")
        assert isinstance(found, int)
        return found

    async def diff(self) -> tuple[int, str]:
        """Exit status and output of ``bindery diff``, which sees the upstream without faults."""
        self.proxy.calm()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "service.cli", "diff", "--settle", "30",
            env=self.here.worker._environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode()

    async def notify_there(self, service: str = SERVICE) -> list[dict[str, Any]]:
        """Every Notify binding that the upstream holds, asked past the proxy."""
        return await self._list(f"/v1/Services/{service}/Bindings")

    async def chat_there(self) -> list[dict[str, Any]]:
        """Every Chat binding that it holds."""
        return await self._list(f"/v2/Services/{SERVICE}/Bindings")

    async def _list(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        url: str | None = f"{url_of(self.there)}{path}?PageSize=1000"
        async with httpx.AsyncClient(auth=(ACCOUNT, TOKEN), timeout=30) as client:
            while url:
                answer = (await client.get(url)).json()
                found += answer["bindings"]
                url = answer["meta"]["next_page_url"]
        return found

    def creates(self) -> Counter[str]:
        """How often the upstream was asked to create a binding, by address."""
        return Counter(parse_qs(seen.body.decode())["Address"][0] for seen in self.proxy.reached("POST"))


def url_of(deployment: Deployment) -> str:
    """Where its API serves."""
    host, port = deployment.addresses[0]
    return f"http://{host}:{port}"


def at(proxy: FaultProxy, **more: str) -> dict[str, str]:
    """Settings with which Notify bindings are kept behind the proxy."""
    named = {
        "NOTIFY_UPSTREAM_URL": proxy.url,
        "UPSTREAM_USER": ACCOUNT,
        "UPSTREAM_SECRET": TOKEN,
        "UPSTREAM_CONNECT_TIMEOUT": "1",
        "UPSTREAM_TIMEOUT": "1",
        "UPSTREAM_LONGEST_REQUEST": "5",
        **more,
    }
    return {f"BINDERY_{name}": value for name, value in named.items()}


@asynccontextmanager
async def second_bindery(directory: Path, settings: Mapping[str, str] | None = None) -> AsyncIterator[Deployment]:
    """The upstream."""
    await asyncio.to_thread(directory.mkdir)
    with deployed(directory, appendfsync="no", settings=settings) as there:
        await there.ready()
        yield there
        await asyncio.to_thread(there.end)


@asynccontextmanager
async def site(directory: Path, *, workers: int, settings: Mapping[str, str]) -> AsyncIterator[Site]:
    """Both, with these settings of upstreams (the names without their prefix)."""
    async with contextlib.AsyncExitStack() as stack:
        there = await stack.enter_async_context(second_bindery(directory / "there"))
        proxy = await stack.enter_async_context(FaultProxy(url_of(there)))
        chosen = {name: value.replace("PROXY", proxy.url) for name, value in settings.items()}
        here_directory = directory / "here"
        await asyncio.to_thread(here_directory.mkdir)
        with deployed(here_directory, appendfsync="no", settings=at(proxy, **chosen), workers=workers) as here:
            await here.ready()
            yield Site(here, there, proxy)
            # In a thread: what a worker has under way at its end goes through the proxy.
            await asyncio.to_thread(here.end)


def share(ordered: Sequence[float], part: float) -> float:
    """The quantile of ordered figures."""
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
