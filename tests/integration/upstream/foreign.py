"""An upstream that is no Bindery: it shows what tests put there, also what a Bindery would refuse to hold."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from tests.e2e.compatible.deployment import CHAT, SERVICE
from tests.integration.upstream.pair import environment

NOTIFY_PATH = f"/v1/Services/{SERVICE}/Bindings"
CHAT_PATH = f"/v2/Services/{CHAT}/Bindings"
_LONG_AGO = "2025-01-01T00:00:00Z"


def chat_alone(redis_url: str, url: str) -> dict[str, str]:
    """Settings with Chat there, and Notify here."""
    found = {**environment(redis_url, url), "BINDERY_CHAT_UPSTREAM_URL": url}
    del found["BINDERY_NOTIFY_UPSTREAM_URL"], found["BINDERY_NOTIFY_UPSTREAM_SID"]
    return found


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[str]:
    """The URL at which this is served."""
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


class Foreign:
    """Its bindings, in the order in which they are listed."""

    def __init__(self) -> None:
        self.url = ""
        self.notify: list[dict[str, Any]] = []
        self.chat: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        self.lists = 0
        self.next: dict[str, str] = {}
        """By the `Page` of a query, that of the page after it. All pages show the same."""

    def put_notify(self, identity: str, address: str, kind: str = "fcm", at: str = _LONG_AGO) -> str:
        """Make a Notify binding; answers its SID."""
        sid = f"BS{len(self.notify) + 1:032x}"
        self.notify.append(
            {
                "sid": sid,
                "identity": identity,
                "binding_type": kind,
                "address": address,
                "date_created": at,
                "date_updated": at,
            }
        )
        return sid

    def put_chat(self, identity: str, endpoint: str, at: str = _LONG_AGO) -> str:
        """Make a Chat binding; answers its SID."""
        sid = f"BS{len(self.chat) + 1:032x}"
        self.chat.append(
            {
                "sid": sid,
                "identity": identity,
                "binding_type": "fcm",
                "endpoint": endpoint,
                "date_created": at,
                "date_updated": at,
            }
        )
        return sid

    def app(self) -> web.Application:
        """What serves it."""
        app = web.Application()
        for path, held in (NOTIFY_PATH, self.notify), (CHAT_PATH, self.chat):
            app.router.add_get(path, self._list_of(held))
            app.router.add_get(path + "/{sid}", self._fetch_of(held))
            app.router.add_delete(path + "/{sid}", self._delete_of(held))
        return app

    def _list_of(self, held: list[dict[str, Any]]) -> Any:
        async def listed(request: web.Request) -> web.Response:
            self.lists += 1
            wanted = request.query.getall("Identity", [])
            found = [binding for binding in held if not wanted or binding["identity"] in wanted]
            after = self.next.get(request.query.get("Page", ""))
            url = f"{self.url}{request.path}?{after}" if after else None
            return web.json_response({"bindings": found, "meta": {"next_page_url": url}})

        return listed

    def _fetch_of(self, held: list[dict[str, Any]]) -> Any:
        async def fetched(request: web.Request) -> web.Response:
            for binding in held:
                if binding["sid"] == request.match_info["sid"]:
                    return web.json_response(binding)
            return web.json_response({"code": 20404, "message": "not found", "status": 404}, status=404)

        return fetched

    def _delete_of(self, held: list[dict[str, Any]]) -> Any:
        async def deleted(request: web.Request) -> web.Response:
            self.deleted.append(request.match_info["sid"])
            held[:] = [binding for binding in held if binding["sid"] != request.match_info["sid"]]
            return web.Response(status=204)

        return deleted
