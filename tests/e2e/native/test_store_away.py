"""A store that is away, hangs, or is full when the API starts, or while requests come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from service.domain.errors import StoreRefused
from tests.e2e.compatible.deployment import serving, settings_of
from tests.e2e.native.callers import Native, problem_of
from tests.servers.valkey import ValkeyServer


@pytest.fixture
def own() -> Iterator[ValkeyServer]:
    """A server of the test's own, to be done harm to."""
    with ValkeyServer() as server:
        yield server


@pytest.mark.parametrize("how", ["hanging", "gone"])
async def test_requests_do_not_queue_for_the_first_opening(
    environ: dict[str, str], own: ValkeyServer, how: str
) -> None:
    """However many come at once after a start without the store, each is answered 503, and waits once, not in line."""
    if how == "hanging":
        own.pause()
    else:
        own.kill()
    try:
        async with serving(settings_of(environ, BINDERY_REDIS_URL=own.url, BINDERY_REDIS_TIMEOUT="0.5")) as api:
            native = Native(api)

            async def timed() -> tuple[int, float]:
                began = time.monotonic()
                answer = await native.register()
                return answer.status_code, time.monotonic() - began

            # One of them goes away: that is no reason to fail the others, which wait for the same opening.
            leaving = asyncio.create_task(native.register())
            others = [asyncio.create_task(timed()) for _ in range(50)]
            await asyncio.sleep(0)
            leaving.cancel()
            for status, seconds in await asyncio.gather(*others):
                assert status == 503
                assert seconds < 5
            if how == "hanging":
                own.resume()
            else:
                own.start()
            while (await native.client.get("/readyz")).status_code != 200:
                pass
            assert (await native.register()).status_code == 202
    finally:
        own.resume()


async def test_a_full_store_is_served_from_the_start(environ: dict[str, str], own: ValkeyServer) -> None:
    """An API that starts while the store has no room serves: reads and logouts work, registrations are 503."""
    own.call("CONFIG", "SET", "maxmemory", "1")
    async with serving(settings_of(environ, BINDERY_REDIS_URL=own.url)) as api:
        native = Native(api)
        assert await native.bindings("alice") == []
        answer = await native.register()
        assert (answer.status_code, problem_of(answer)) == (503, "store-full")
        logout = await native.call("POST", "/v1/logouts", json={"identity": "alice"})
        assert (logout.status_code, logout.json()) == (200, {"ended": 0})


async def test_a_full_store_still_wakes_workers(native: Native, valkey: ValkeyServer) -> None:
    """The job of a removal, which is what frees memory, is queued although the queue's Redis has no room."""
    await native.register()
    await native.drain()
    await native.app.state.runtime.queue.aclose()
    valkey.call("DEL", "bindery:jobs")
    valkey.call("CONFIG", "SET", "maxmemory", "1")
    try:
        assert (await native.call("POST", "/v1/logouts", json={"identity": "alice"})).json() == {"ended": 1}
        await native.app.state.runtime.queue.aclose()
    finally:
        valkey.call("CONFIG", "SET", "maxmemory", "0")
    assert valkey.call("ZCARD", "bindery:jobs") == 1


async def test_anothers_store_is_not_served(environ: dict[str, str], own: ValkeyServer) -> None:
    """An API that is started with another secret key ends instead of serving."""
    settings = settings_of(environ, BINDERY_REDIS_URL=own.url)
    async with serving(settings):
        pass
    with pytest.raises(ExceptionGroup) as caught:
        async with serving(settings_of(environ, BINDERY_REDIS_URL=own.url, BINDERY_SECRET_KEY="y" * 40)):
            pass
    assert caught.group_contains(StoreRefused)


async def test_a_store_that_refuses_us_is_told_from_one_that_is_away(
    environ: dict[str, str], own: ValkeyServer
) -> None:
    """Waiting does not mend a password: requests and probes say so, and none of it."""
    own.call("CONFIG", "SET", "requirepass", "right")
    async with serving(settings_of(environ, BINDERY_REDIS_URL=own.url)) as api:
        answer = await Native(api).register()
        assert (answer.status_code, problem_of(answer)) == (503, "store-unavailable")
        assert answer.json()["detail"].startswith("The store refuses our login")
        ready = await api.client.get("/readyz")
        assert ready.status_code == 503
        assert "refuse" in ready.json()["checks"]["store"]
        assert "refuse" in ready.json()["checks"]["queue"]
