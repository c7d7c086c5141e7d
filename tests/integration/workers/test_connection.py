"""The queue's connection, for each form of URL and through a failover."""

from __future__ import annotations

from typing import Any

import pytest
from redis.exceptions import RedisError

from tests.servers.sentinel import ValkeySentinel
from tests.servers.valkey import ValkeyServer
from tests.waiting import eventually
from workers.connection import close_queue, open_queue


@pytest.fixture(scope="module")
def locked() -> Any:
    """A server that asks for a password."""
    with ValkeyServer("--user", "worker", "on", ">s3cret/@", "~*", "&*", "+@all", tcp=True) as server:
        server.call("ACL", "SETUSER", "default", "off")
        yield server


@pytest.mark.parametrize(
    "form", ["redis://worker:s3cret%2F%40@127.0.0.1:{0.port}/3", "unix://worker:s3cret%2F%40@{0.socket}?db=3"]
)
async def test_it_logs_in_and_selects(locked: ValkeyServer, form: str) -> None:
    """User, percent-encoded password and database are those of the URL."""
    queue: Any = open_queue(form.format(locked), timeout=2)
    try:
        assert await queue.acl_whoami() == "worker"
        assert (await queue.client_info())["db"] == 3
    finally:
        await close_queue(queue)


async def test_it_survives_a_restart() -> None:
    """Its retries bridge the moment: not even the first command after it fails."""
    with ValkeyServer() as server:
        queue = open_queue(server.url, timeout=2)
        await queue.ping()
        server.kill()
        server.start()
        assert await queue.ping()
        await close_queue(queue)


async def test_it_follows_sentinel() -> None:
    """It writes to the primary that Sentinel names, before and after a failover."""
    with ValkeySentinel() as deployment:
        queue = open_queue(deployment.url, timeout=2)
        try:
            await queue.set("before", "1")
            primary = deployment.primary_port()
            next(server for server in deployment.servers if server.port == primary).kill()

            async def writes() -> bool:
                try:
                    return bool(await queue.set("after", "1"))
                except RedisError:
                    return False

            await eventually(writes, timeout=30)
            assert deployment.primary_port() != primary
        finally:
            await close_queue(queue)
