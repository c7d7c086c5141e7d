"""The listener for metrics and probes, on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import httpx
import msgspec
import pytest

from service.sockets import bind
from service.telemetry import listener
from service.telemetry.listener import listening


class Said(msgspec.Struct):
    """What a probe says."""

    word: str


async def holds() -> tuple[bool, Said]:
    """A probe that holds."""
    return True, Said("well")


async def fails() -> tuple[bool, Said]:
    """A probe that does not."""
    return False, Said("ill")


async def ask(port: int | None, path: str, method: str = "GET") -> httpx.Response:
    """A request to the listener."""
    async with httpx.AsyncClient() as client:
        return await client.request(method, f"http://127.0.0.1:{port}{path}")


async def test_probes_and_metrics() -> None:
    """200 or 503 with what the probe says; anything else is 404, and nothing but GET and HEAD is answered."""
    async with listening("127.0.0.1", 0, {"/livez": holds, "/readyz": fails}) as port:
        alive = await ask(port, "/livez?verbose")
        assert (alive.status_code, alive.json()) == (200, {"word": "well"})
        ready = await ask(port, "/readyz")
        assert (ready.status_code, ready.json()) == (503, {"word": "ill"})
        metrics = await ask(port, "/metrics")
        assert metrics.headers["content-type"].startswith("text/plain; version=")
        assert "bindery_" in metrics.text
        assert (await ask(port, "/nowhere")).status_code == 404
        refused = await ask(port, "/metrics", "POST")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
        asked = await ask(port, "/readyz", "HEAD")
        assert (asked.status_code, asked.content) == (503, b"")
        assert asked.headers["content-length"] == ready.headers["content-length"]


async def test_no_port_is_no_listener() -> None:
    """It has to be asked for."""
    async with listening("127.0.0.1", None, {}) as port:
        assert port is None


async def test_a_shared_socket_shows_metrics_alone() -> None:
    """A probe that any of several processes may answer would say nothing."""
    with bind("127.0.0.1", 0) as shared:
        async with listening("127.0.0.1", None, {"/livez": holds}, inherited=str(shared.fileno())) as port:
            assert port == shared.getsockname()[1]
            assert (await ask(port, "/livez")).status_code == 404
            assert (await ask(port, "/metrics")).status_code == 200


async def test_a_port_that_is_taken_is_an_error() -> None:
    """Not a process that nobody can ask."""
    with bind("127.0.0.1", 0) as taken, pytest.raises(OSError, match="in use"):
        async with listening("127.0.0.1", taken.getsockname()[1], {}):
            pass


@pytest.mark.parametrize("sent", [b"", b"GET /livez HTTP/1.1\r\n", b"x" * 20_000])
async def test_whoever_asks_badly_is_hung_up_on(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """In time, and without keeping what was sent."""
    monkeypatch.setattr(listener, "_SECONDS", 0.1)
    async with listening("127.0.0.1", 0, {"/livez": holds}) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_callers_are_bounded() -> None:
    """Too many at a time are turned away; the others are answered."""
    async with listening("127.0.0.1", 0, {"/livez": holds}) as port:
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(40)]
        turned_away = [reader for reader, _ in idle[32:]]
        assert [await asyncio.wait_for(reader.read(), 5) for reader in turned_away] == [b""] * 8
        for _, writer in idle:
            writer.close()
            await writer.wait_closed()
        while (await _status(port)) != 200:
            pass


async def _status(port: int | None) -> int | None:
    try:
        return (await ask(port, "/livez")).status_code
    except (httpx.TransportError, socket.gaierror):
        return None
