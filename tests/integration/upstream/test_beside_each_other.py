"""What goes on beside the queue for one Service waits for no other Service's upstream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.bootstrap import Runtime, runtime
from service.settings import load
from service.usecases.ending import log_out
from tests.e2e.compatible.deployment import SERVICE as THERE
from tests.integration.upstream.pair import Pair, environment, of_several
from tests.integration.workers.bench import SERVICE
from tests.servers.fault_proxy import Fault, FaultProxy, Kind
from tests.servers.valkey import ValkeyServer
from tests.waiting import eventually
from workers.audit import keep_auditing
from workers.listing import keep_listing

OTHER = "IS" + "2" * 32
SERVICES = """
[[service]]
sid = "{hanging_sid}"
name = "hanging"
[service.notify_upstream]
url = "{hanging}"

[[service]]
sid = "{other_sid}"
name = "other"
[service.notify_upstream]
url = "{other}"
sid = "{there}"
"""


@pytest.fixture
async def hanging(upstream_url: str) -> AsyncIterator[FaultProxy]:
    """The upstream of the first Service answers nothing."""
    async with FaultProxy(upstream_url) as hanging:
        hanging.chance(1, 1.0, [Fault(Kind.NEVER)])
        yield hanging


@pytest.fixture
async def running(
    valkey: ValkeyServer, proxy: FaultProxy, hanging: FaultProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Runtime]:
    """Two Services, each with an upstream that has thirty seconds for an answer."""
    valkey.call("FLUSHALL")
    monkeypatch.setattr("workers.audit.EVERY_SECONDS", 0.1)
    monkeypatch.setattr("workers.listing.EVERY_SECONDS", 0.1)
    urls = {"hanging": hanging.url, "other": proxy.url}
    services = SERVICES.format(hanging_sid=SERVICE, other_sid=OTHER, there=THERE, **urls)
    environ = environment(valkey.url, proxy.url, BINDERY_UPSTREAM_TIMEOUT="30", BINDERY_UPSTREAM_LONGEST_REQUEST="30")
    async with runtime(load(of_several(environ, tmp_path / "services.toml", services))) as running:
        yield running


async def test_lists_that_are_owed_after_a_logout(
    running: Runtime, proxy: FaultProxy, hanging: FaultProxy, upstream_url: str
) -> None:
    """An upstream that hangs has fifteen seconds for its own."""
    pair = Pair(running, proxy, upstream_url)
    await log_out(pair.service, "alice")
    pair.service = running.directory.named("other")
    await pair.create_there("alice", "token")
    listing = asyncio.ensure_future(keep_listing(running.directory))
    try:
        await hanging.met(Kind.NEVER)
        await log_out(pair.service, "alice")

        async def owed() -> bool:
            return await pair.maybe("token") is not None

        await eventually(owed, timeout=5)
    finally:
        listing.cancel()


async def test_audits(running: Runtime, proxy: FaultProxy, hanging: FaultProxy, upstream_url: str) -> None:
    """A page of what it holds has thirty."""
    pair = Pair(running, proxy, upstream_url)
    pair.service = running.directory.named("other")
    await pair.create_there("alice", "token")
    auditing = asyncio.ensure_future(keep_auditing(running.directory))
    try:
        await hanging.met(Kind.NEVER)

        async def adopted() -> bool:
            return await pair.maybe("token") is not None

        await eventually(adopted, timeout=8)
    finally:
        auditing.cancel()
