"""A Service here whose bindings a second Bindery holds, with a proxy that makes faults between the two."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

from service.bootstrap import Runtime
from service.domain.addresses import BindingType
from service.domain.jobs import LANES, Lane, Ledger
from service.domain.record import Record
from service.usecases.registering import Request, register
from service.usecases.upstream.channels import NotifyUpstream
from tests.e2e.compatible.deployment import ACCOUNT, CHAT, SERVICE, TOKEN
from tests.integration.workers.bench import Bench
from tests.integration.workers.bench import environment as least
from tests.servers.fault_proxy import FaultProxy
from tests.waiting import eventually

TIMEOUT = 0.3
LONGEST = 0.4
"""Seconds after which a lost request can no longer take effect."""


def environment(redis_url: str, proxy_url: str, **more: str) -> dict[str, str]:
    """The settings of the Service here."""
    return {
        **least(redis_url),
        "BINDERY_NOTIFY_UPSTREAM_URL": proxy_url,
        "BINDERY_NOTIFY_UPSTREAM_SID": SERVICE,
        "BINDERY_CHAT_SERVICE_SID": "IS" + "9" * 32,
        "BINDERY_CHAT_UPSTREAM_SID": CHAT,
        "BINDERY_UPSTREAM_USER": ACCOUNT,
        "BINDERY_UPSTREAM_SECRET": TOKEN,
        "BINDERY_UPSTREAM_RATE": "5000",
        "BINDERY_UPSTREAM_CONNECT_TIMEOUT": "0.3",
        "BINDERY_UPSTREAM_TIMEOUT": str(TIMEOUT),
        "BINDERY_UPSTREAM_LONGEST_REQUEST": str(LONGEST),
        **more,
    }


def patient(redis_url: str, proxy_url: str, **more: str) -> dict[str, str]:
    """The same with time for a test to hold an answer."""
    times = {"BINDERY_UPSTREAM_TIMEOUT": "10", "BINDERY_UPSTREAM_LONGEST_REQUEST": "10"}
    return environment(redis_url, proxy_url, **times, **more)


_ONE_SERVICE = ("BINDERY_SERVICE_SID", "BINDERY_CHAT_SERVICE_SID", "BINDERY_NOTIFY_", "BINDERY_CHAT_")


def of_several(environ: dict[str, str], file: Path, services: str) -> dict[str, str]:
    """The same for the Services of a file, which is written."""
    file.write_text(services)
    alike = {name: value for name, value in environ.items() if not name.startswith(_ONE_SERVICE)}
    return {**alike, "BINDERY_SERVICES_FILE": str(file)}


class Pair(Bench):
    """What the tests do with both."""

    def __init__(self, running: Runtime, proxy: FaultProxy, there: str) -> None:
        super().__init__(running)
        self.proxy = proxy
        self.there = there

    @property
    def upstream(self) -> NotifyUpstream:
        """The upstream as the Service knows it."""
        upstream = self.service.notify_upstream
        assert upstream is not None
        return upstream

    async def bind(self, identity: str, address: str, device: str | None = None, **more: Any) -> None:
        """Register, with everything that a registration can have."""
        request = Request(identity=identity, kind=BindingType.FCM, address=address, device_id=device, **more)
        await register(self.service, request)

    async def drain_notify(self) -> None:
        """Run a job for every Notify lane, as many side by side as there are seats."""
        for first in (0, LANES // 2):
            lanes = (Lane(self.service.sid, Ledger.NOTIFY, first + n) for n in range(LANES // 2))
            await asyncio.gather(*(self.drain(lane) for lane in lanes))

    async def drain_until(self, check: Callable[[], Awaitable[bool]]) -> None:
        """Drain the Notify lanes until this is so."""

        async def drained() -> bool:
            await self.drain_notify()
            return await check()

        await eventually(drained)

    async def drain_until_posted(self, times: int) -> None:
        """Until the upstream has seen, or will see, so many creates."""

        async def posted() -> bool:
            return self.posts() >= times

        await self.drain_until(posted)

    async def drain_until_deleted(self, times: int) -> None:
        """Until the upstream has seen, or will see, so many deletes."""

        async def deleted() -> bool:
            return len(self.proxy.reached("DELETE")) >= times

        await self.drain_until(deleted)

    def patient(self) -> None:
        """From now on lost requests may take effect for long: as long as a test needs, on a slow machine too."""
        self._longest(60.0)

    async def time_passes(self) -> None:
        """As if that time were over: no doubt lasts for longer than it may, and each is due."""
        self._longest(LONGEST)
        anchor, store = self.service.section.anchor, self.running.store
        await store.command("HDEL", anchor, "until1", key=anchor)
        await self.delays_are_over()

    async def no_call_is_under_way(self) -> None:
        """As if all calls of before a cut-over had ended when they are to have ended at the latest: by now."""
        seconds = await self.service.adoptions.begin() // 1000
        anchor, store = self.service.section.anchor, self.running.store
        await store.command("HSET", anchor, "since1", seconds, key=anchor)
        await store.command("HDEL", anchor, "until1", key=anchor)

    def _longest(self, seconds: float) -> None:
        self.upstream.ledger._longest_ms = b"%d" % int(1000 * seconds)

    async def converge(self, timeout: float = 20) -> None:  # noqa: ASYNC109  # polls
        """Work until nothing is owed, in doubt or otherwise."""

        async def settled() -> bool:
            await self.drain_all()
            return not await self.depth()

        await eventually(settled, timeout)

    async def bindings(self, *identities: str) -> list[dict[str, Any]]:
        """What the upstream holds, asked past the proxy."""
        async with httpx.AsyncClient(base_url=self.there, auth=(ACCOUNT, TOKEN)) as client:
            found: list[dict[str, Any]] = []
            url: str | None = f"/v1/Services/{SERVICE}/Bindings"
            params: Any = {"PageSize": "1000", "Identity": list(identities)}
            while url:
                answer = (await client.get(url, params=params)).json()
                found += answer["bindings"]
                url, params = answer["meta"]["next_page_url"], None
            return found

    async def chats(self) -> list[dict[str, Any]]:
        """The Chat bindings that it holds."""
        async with httpx.AsyncClient(base_url=self.there, auth=(ACCOUNT, TOKEN)) as client:
            answer = await client.get(f"/v2/Services/{CHAT}/Bindings", params={"PageSize": "50"})
            found: list[dict[str, Any]] = answer.raise_for_status().json()["bindings"]
            return found

    async def owners(self) -> dict[str, str]:
        """Addresses at the upstream, and whose they are there."""
        return {binding["address"]: binding["identity"] for binding in await self.bindings()}

    async def create_there(self, identity: str, address: str, **more: str) -> str:
        """A binding that somebody makes at the upstream past us; answers its SID."""
        async with httpx.AsyncClient(base_url=self.there, auth=(ACCOUNT, TOKEN)) as client:
            form = {"Identity": identity, "BindingType": "fcm", "Address": address, **more}
            answer = await client.post(f"/v1/Services/{SERVICE}/Bindings", data=form)
            sid: str = answer.raise_for_status().json()["sid"]
            return sid

    async def delete_there(self, sid: str) -> None:
        """And one that somebody deletes there."""
        async with httpx.AsyncClient(base_url=self.there, auth=(ACCOUNT, TOKEN)) as client:
            (await client.delete(f"/v1/Services/{SERVICE}/Bindings/{sid}")).raise_for_status()

    async def maybe(self, address: str) -> Record | None:
        """The record of an address, if there is one."""
        return await self.service.reading.registration(self.service.fingerprints.address(address))

    def posts(self) -> int:
        """Creates that the upstream has seen, or will."""
        return len(self.proxy.reached("POST"))

    def lists(self) -> int:
        """How often the upstream was asked for something."""
        return len([seen for seen in self.proxy.seen if seen.method == "GET"])


async def next_second(pair: Bench) -> None:
    """The upstream's times are in seconds: from here on they are later than those of before."""

    async def second() -> int:
        return int((await pair.service.adoptions.begin()) / 1000)

    now = await second()

    async def later() -> bool:
        return await second() > now

    await eventually(later)
