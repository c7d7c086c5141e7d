"""Before an upstream that keeps the case of APNs tokens: one device is one address all the same."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import parse_qs

import pytest
from aiohttp import web

from service.bootstrap import runtime
from service.domain.addresses import BindingType
from service.settings import load
from service.usecases.comparing import differences
from service.usecases.looking_up import look_up
from service.usecases.moving.importing import import_bindings
from service.usecases.registering import Request, register
from service.usecases.upstream.auditing import audit_step
from service.usecases.upstream.walking import walk_step
from tests.integration.upstream.foreign import served
from tests.integration.upstream.pair import environment, next_second
from tests.integration.workers.bench import Bench
from tests.servers.valkey import ValkeyServer


class Verbatim:
    """A Notify that compares addresses as they are."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, object]] = {}
        self._numbers = itertools.count(1)
        self.listing = self.list_

    def put(self, identity: str, address: str, at: int, kind: str = "apn") -> str:
        self.held = {sid: b for sid, b in self.held.items() if b["address"] != address}
        sid = f"BS{next(self._numbers):032x}"
        when = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.held[sid] = {
            "sid": sid,
            "identity": identity,
            "binding_type": kind,
            "address": address,
            "tags": [],
            "credential_sid": None,
            "notification_protocol_version": "3",
            "date_created": when,
            "date_updated": when,
        }
        return sid

    async def list_(self, request: web.Request) -> web.Response:
        wanted = request.query.getall("Identity", [])
        found = [b for b in self.held.values() if not wanted or b["identity"] in wanted]
        return web.json_response({"bindings": found, "meta": {"next_page_url": None}})

    async def show(self, request: web.Request) -> web.Response:
        return await self.listing(request)

    async def create(self, request: web.Request) -> web.Response:
        form = {k: v[0] for k, v in parse_qs((await request.read()).decode()).items()}
        sid = self.put(form["Identity"], form["Address"], int(datetime.now(UTC).timestamp()), form["BindingType"])
        return web.json_response(self.held[sid], status=201)

    async def one(self, request: web.Request) -> web.Response:
        sid = request.match_info["sid"]
        if sid not in self.held:
            return web.json_response({"code": 20404, "message": "", "status": 404}, status=404)
        if request.method == "DELETE":
            del self.held[sid]
            return web.Response(status=204)
        return web.json_response(self.held[sid])


@pytest.fixture
async def verbatim() -> AsyncIterator[tuple[Verbatim, str]]:
    there, app = Verbatim(), web.Application()
    app.router.add_get("/v1/Services/{s}/Bindings", there.show)
    app.router.add_post("/v1/Services/{s}/Bindings", there.create)
    app.router.add_route("*", "/v1/Services/{s}/Bindings/{sid}", there.one)
    async with served(app) as url:
        yield there, url


async def hours_later(bench: Bench) -> None:
    """It is time for the next step of each walk, and what has happened is older than what is listed from here on."""
    await next_second(bench)
    anchor = bench.service.section.anchor
    for walk in (b":audit", b":walk"):
        await bench.running.store.command("DEL", anchor + walk + b":turn", key=anchor)


@pytest.mark.parametrize("newer_first", [False, True])
async def test_one_device_in_two_cases_has_one_owner(
    valkey: ValkeyServer, verbatim: tuple[Verbatim, str], newer_first: bool
) -> None:
    """An app that began to spell its token in lower case is one device: its older spelling goes, or is told of."""
    there, url = verbatim
    spellings = [("alice", "AB" * 32, 1_700_000_000), ("bob", "ab" * 32, 1_700_000_100)]
    for identity, address, at in reversed(spellings) if newer_first else spellings:
        there.put(identity, address, at)
    valkey.call("FLUSHALL")
    async with runtime(load(environment(valkey.url, url))) as running:
        bench = Bench(running)
        upstream = running.directory.default().notify_upstream
        assert upstream is not None
        await import_bindings(bench.service, upstream)
        for _ in range(3):
            await bench.drain_all()
            await audit_step(bench.service, upstream)
        assert len(there.held) == 1 or [difference async for difference in differences(bench.service)]
        await hours_later(bench)
        await walk_step(bench.service, upstream)
        await bench.drain_all()
        assert [b["identity"] for b in there.held.values()] == ["bob"]


@pytest.mark.parametrize("known", [True, False])
async def test_a_takeover_takes_the_other_spelling_too(
    valkey: ValkeyServer, verbatim: tuple[Verbatim, str], known: bool
) -> None:
    """Contract 1 before an upstream: the token that it holds for bob in upper case is alice's now."""
    there, url = verbatim
    there.put("bob", "AB" * 32, 1_700_000_000)
    valkey.call("FLUSHALL")
    async with runtime(load(environment(valkey.url, url))) as running:
        bench = Bench(running)
        service = bench.service
        upstream = service.notify_upstream
        assert upstream is not None
        if known:
            [(_, found)] = await look_up(service, ["bob"])  # a cold read adopts it
            assert len(found) == 1
        request = Request(identity="alice", kind=BindingType.APN, address="AB" * 32, device_id="phone")
        await register(service, request)
        for _ in range(3):
            await bench.drain_all()
            await hours_later(bench)
            await audit_step(service, upstream)
            await walk_step(service, upstream)
        await bench.drain_all()
        shown = [len(found) for _, found in await look_up(service, ["alice", "bob"])]
        told = [d async for d in differences(service)]
        held = {b["identity"] for b in there.held.values()}
        assert (shown, held) == ([1, 0], {"alice"}), told
