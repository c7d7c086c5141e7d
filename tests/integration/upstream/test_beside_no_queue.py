"""What goes on beside the queue goes on without it: lists, walks and expiry need the store alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from service.bootstrap import runtime
from service.settings import load
from service.usecases.ending import log_out
from tests.integration.model.pair_desk import PairDesk
from tests.integration.upstream.pair import Pair, environment
from tests.integration.workers.worker_process import WorkerProcess
from tests.servers.fault_proxy import FaultProxy
from tests.servers.valkey import ValkeyServer
from tests.waiting import eventually


async def test_a_logout_reaches_what_was_made_past_us_while_the_queue_is_away(
    valkey: ValkeyServer, proxy: FaultProxy, upstream_url: str, tmp_path: Path
) -> None:
    """Nobody has asked for the identity, so that only a list after its logout finds its binding there."""
    valkey.call("FLUSHALL")
    environ = {**environment(valkey.url, proxy.url), "BINDERY_QUEUE_URL": f"unix://{tmp_path}/none"}
    async with runtime(load(environ)) as running:
        pair = Pair(running, proxy, upstream_url)
        await pair.create_there("alice", "token")
        with WorkerProcess(environ, tmp_path / "log") as worker:
            await eventually(_logged(worker, "queue_lost"))
            await log_out(pair.service, "alice")

            async def gone() -> bool:
                return not await pair.bindings("alice")

            await eventually(gone, timeout=20)


async def test_what_is_stale_leaves_a_store_that_is_full(
    valkey: ValkeyServer, proxy: FaultProxy, upstream_url: str, tmp_path: Path
) -> None:
    """By default the queue is in it, too, and refuses what arq writes; what leaves makes room."""
    valkey.call("FLUSHALL")
    environ = {**environment(valkey.url, proxy.url), "BINDERY_STALE_DAYS": "2"}
    async with runtime(load(environ)) as running:
        pair = Pair(running, proxy, upstream_url)
        await pair.bind("alice", "token", "phone")
        await pair.converge()
        await PairDesk(pair.service).age("token", 3 * 86_400)
        valkey.call("CONFIG", "SET", "maxmemory", "1")
        try:
            with WorkerProcess(environ, tmp_path / "log") as worker:
                await eventually(_logged(worker, "queue_lost"))

                async def gone() -> bool:
                    return await pair.maybe("token") is None

                await eventually(gone, timeout=20)
        finally:
            valkey.call("CONFIG", "SET", "maxmemory", "0")


def _logged(worker: WorkerProcess, text: str) -> Callable[[], Awaitable[bool]]:
    async def logged() -> bool:
        return text in worker.output

    return logged
