"""The client's beginning and end, on both event loops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from service.redis import NotSent, OutcomeUnknown, connect
from tests.servers.valkey import ValkeyServer, wait_until

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.mark.parametrize("new_loop", LOOPS)
def test_closing_fails_what_is_pending_and_leaves_nothing(
    server: ValkeyServer, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """After aclose() calls fail unsent, those under way have ended, and no task or connection is left."""

    async def scenario() -> None:
        redis = connect(server.url, timeout=5)
        await redis.ping()
        server.pause()
        sent = asyncio.create_task(redis.ping())
        await asyncio.sleep(0.05)
        queued = asyncio.create_task(redis.ping())
        await asyncio.sleep(0)
        await redis.aclose()
        server.resume()
        results = await asyncio.gather(sent, queued, return_exceptions=True)
        assert [type(result) for result in results] == [OutcomeUnknown, NotSent]
        with pytest.raises(NotSent, match="closed"):
            await redis.ping()
        await redis.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(scenario())


@pytest.mark.parametrize("new_loop", LOOPS)
@pytest.mark.parametrize("scheme", ["redis://", "redis+sentinel://", "redis+cluster://"])
def test_closing_while_there_is_no_server(
    server: ValkeyServer, new_loop: Callable[[], asyncio.AbstractEventLoop], scheme: str
) -> None:
    """The search for a server ends with the client."""
    server.stop()

    async def scenario() -> None:
        redis = connect(f"{scheme}127.0.0.1:{server.port}" + ("/name" if "sentinel" in scheme else ""))
        with pytest.raises(NotSent, match="no connection to Redis"):
            await redis.command("GET", "k", key=b"k", timeout=0.2)
        waiting = asyncio.create_task(redis.command("GET", "k", key=b"k"))
        await asyncio.sleep(0)
        await redis.aclose()
        (result,) = await asyncio.gather(waiting, return_exceptions=True)
        assert isinstance(result, NotSent)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(scenario())


def test_connect_touches_nothing() -> None:
    """A client can be made without a loop, a server or a name that resolves."""
    connect("redis://no-such-host.invalid")
    connect("redis+cluster://no-such-host.invalid")


async def test_a_client_reconnects_while_nobody_calls(server: ValkeyServer) -> None:
    """A lost connection is remade in the background."""
    redis = connect(server.url)
    await redis.ping()
    server.kill()
    await asyncio.to_thread(server.start)
    await asyncio.to_thread(wait_until, lambda: b"name=bindery" in clients(server), "the client is back", 2)
    await redis.aclose()


def clients(server: ValkeyServer) -> bytes:
    """Who is connected."""
    reply = server.call("CLIENT", "LIST")
    assert isinstance(reply, bytes)
    return reply
