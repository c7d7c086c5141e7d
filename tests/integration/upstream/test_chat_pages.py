"""A Chat list whose pages show a binding twice, since something was made while they were walked."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from service.bootstrap import runtime
from service.domain.addresses import BindingType
from service.domain.record import State
from service.settings import load
from service.usecases.registering import Request, register
from tests.e2e.compatible.deployment import CHAT
from tests.integration.upstream.chat import BOTH
from tests.integration.upstream.foreign import chat_alone, served
from tests.integration.workers.bench import Bench
from tests.servers.valkey import ValkeyServer
from tests.waiting import eventually

PATH = f"/v2/Services/{CHAT}/Bindings"


class Upstream:
    """Pages by number, newest first: what is made while they are walked moves the others on."""

    def __init__(self) -> None:
        self.made: list[tuple[str, str, str]] = []
        self.deleted: list[str] = []
        self.between: tuple[str, str] | None = None

    def make(self, identity: str, endpoint: str) -> str:
        sid = f"BS{len(self.made) + 1:032x}"
        self.made.insert(0, (sid, identity, endpoint))
        return sid

    async def show(self, request: web.Request) -> web.Response:
        page = int(request.query.get("Page", 0))
        wanted = request.query.getall("Identity", [])
        all_ = [m for m in self.made if not wanted or m[1] in wanted]
        size = 50
        some = all_[page * size : (page + 1) * size]
        more = len(all_) > (page + 1) * size
        query = "&".join([*(f"Identity={i}" for i in wanted), f"PageSize=50&Page={page + 1}"])
        answer = {
            "bindings": [
                {"sid": s, "identity": i, "endpoint": e, "binding_type": "fcm", "date_updated": "2026-01-01T00:00:00Z"}
                for s, i, e in some
            ],
            "meta": {"next_page_url": f"http://x{PATH}?{query}" if more else None},
        }
        if page == 0 and self.between is not None:
            self.make(*self.between)
            self.between = None
        return web.json_response(answer)

    async def delete(self, request: web.Request) -> web.Response:
        sid = request.match_info["sid"]
        self.deleted.append(sid)
        self.made = [m for m in self.made if m[0] != sid]
        return web.Response(status=204)


@pytest.fixture
async def upstream() -> AsyncIterator[tuple[Upstream, str]]:
    there = Upstream()
    app = web.Application()
    app.router.add_get(PATH, there.show)
    app.router.add_delete(PATH + "/{sid}", there.delete)
    async with served(app) as url:
        yield there, url


@pytest.mark.usefixtures("quick_backoff")
async def test_a_binding_that_two_pages_show_is_no_double(valkey: ValkeyServer, upstream: tuple[Upstream, str]) -> None:
    """Of a registered device; an SDK has made one for another between the two pages."""
    there, url = upstream
    valkey.call("FLUSHALL")
    environ = chat_alone(valkey.url, url)
    for n in range(60):
        there.make("alice", f"e-{n}")
    edge = there.made[49]
    there.between = "alice", "e-new"
    async with runtime(load(environ)) as running:
        bench = Bench(running)
        request = Request(
            identity="alice", kind=BindingType.FCM, address="t", device_id="phone", channels=BOTH, endpoint=edge[2]
        )
        await register(bench.service, request)

        async def applied() -> bool:
            await bench.drain_all()
            return bool((await bench.record("t")).chat == State.APPLIED)

        await eventually(applied)
        assert there.deleted == []
