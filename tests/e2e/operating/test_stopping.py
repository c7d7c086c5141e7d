"""How the API's server stops: not ready first, every request answered, no connection cut that is just being used."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from service.cli.bounded_http import BoundedHttpProtocol
from service.cli.server import Server
from service.lifecycle import Lifecycle
from service.settings.loading import LISTEN_FD
from tests.e2e.compatible.deployment import ACCOUNT, TOKEN
from tests.servers.valkey import free_port
from tests.waiting import eventually

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class App:
    """Answers at once, or when told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """An ASGI application."""
        assert scope["type"] == "http"
        await receive()
        self.asked.set()
        await self.go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


class Served:
    """A server on a loopback port, and its stopping."""

    def __init__(self, app: App, delay: float) -> None:
        self.app = app
        self.lifecycle = Lifecycle()
        config = uvicorn.Config(
            app, http=BoundedHttpProtocol, ws="none", lifespan="off", log_config=None, timeout_graceful_shutdown=20
        )
        self.server = Server(config, delay=delay, lifecycle=self.lifecycle)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection."""
        reader, writer = await asyncio.open_connection(*self.address)
        try:
            yield reader, writer
        finally:
            writer.close()
            await writer.wait_closed()

    async def until(self, holds: Callable[[], object]) -> None:
        """Return once the server has come to a state."""

        async def check() -> object:
            return holds()

        await eventually(check)

    async def stop(self) -> None:
        """Tell it to stop, and return when it has begun to."""
        self.server.should_exit = True
        await self.until(lambda: self.lifecycle.stopping)


@asynccontextmanager
async def serving(delay: float = 0) -> AsyncIterator[Served]:
    """A running server, which is stopped in the end."""
    served = Served(App(), delay)
    # Its signals stay the test's own.
    running = asyncio.create_task(served.server._serve([served.listener]))
    await served.until(lambda: served.server.started)
    try:
        async with asyncio.timeout(20):
            yield served
            served.server.should_exit = True
            await running
    finally:
        served.server.should_exit = served.server.force_exit = True
        await asyncio.wait({running})


async def answered(reader: asyncio.StreamReader) -> bytes:
    """The head of an answer, once its body has come as well."""
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert await reader.readexactly(2) == b"ok"
    return head


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silent connections are listened to for as long as a test takes."""
    monkeypatch.setattr("service.cli.bounded_http.LINGER_SECONDS", 15.0)


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("used", [True, False], ids=["kept alive", "just accepted"])
async def test_a_request_that_meets_the_stop_is_answered(used: bool) -> None:
    """On a connection without a request at that moment; the answer says that it was the last."""
    async with serving() as served, served.connected() as (reader, writer):
        if used:
            writer.write(REQUEST)
            assert b"connection: close" not in await answered(reader)
        await served.until(lambda: served.server.server_state.connections)
        await served.stop()
        writer.write(REQUEST)
        assert b"connection: close" in await answered(reader)
        assert await reader.read() == b""


@pytest.mark.usefixtures("patience")
async def test_a_request_under_way_is_answered() -> None:
    """However long it takes within the grace; the answer says that it was the last."""
    async with serving() as served, served.connected() as (reader, writer):
        served.app.go_on.clear()
        writer.write(REQUEST)
        await served.app.asked.wait()
        await served.stop()
        served.app.go_on.set()
        assert b"connection: close" in await answered(reader)
        assert await reader.read() == b""


async def test_a_connection_that_stays_silent_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not hold up the end for the whole grace."""
    monkeypatch.setattr("service.cli.bounded_http.LINGER_SECONDS", 0.05)
    async with serving() as served, served.connected() as (reader, writer):
        writer.write(REQUEST)
        await answered(reader)
        await served.stop()
        assert await reader.read() == b""


@pytest.mark.usefixtures("patience")
async def test_with_a_delay_new_connections_are_taken_at_first() -> None:
    """By then it says that it is not ready; a load balancer needs time to see it."""
    async with serving(delay=60) as served:
        await served.stop()
        for _ in range(3):
            async with served.connected() as (reader, writer):
                writer.write(REQUEST)
                assert b"connection: close" in await answered(reader)
        served.server.force_exit = True


class Api:
    """`bindery api` as a process."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, metrics: int) -> None:
        self.process = process
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", auth=(ACCOUNT, TOKEN), timeout=15)
        self.probes = httpx.Client(base_url=f"http://127.0.0.1:{metrics}", timeout=10)

    def ready(self) -> tuple[int, dict[str, str]]:
        """What the listener for probes says."""
        answer = self.probes.get("/readyz")
        return answer.status_code, answer.json()["checks"]


@contextmanager
def api(environ: dict[str, str], directory: Path, **settings: str) -> Iterator[Api]:
    """A running API."""
    metrics = free_port()
    with socket.create_server(("127.0.0.1", 0)) as listener, (directory / "api.log").open("wb") as log:
        fds = {LISTEN_FD: str(listener.fileno()), "BINDERY_METRICS_PORT": str(metrics)}
        process = subprocess.Popen(
            [sys.executable, "-m", "service.cli", "api"],
            env={**environ, **fds, **settings},
            pass_fds=(listener.fileno(),),
            stderr=log,
        )
        running = Api(process, listener.getsockname()[1], metrics)
        try:
            assert running.client.get("/readyz").status_code == 200
            yield running
        finally:
            running.client.close()
            running.probes.close()
            process.kill()
            process.wait()


REGISTRATION = {"identity": "alice", "binding_type": "apn", "address": "0a" * 32}


@pytest.mark.slow
async def test_a_stopping_api_says_so_and_serves_on(environ: dict[str, str], tmp_path: Path) -> None:
    """For the delay it is not ready and still answers; then it ends with status 0, within its time."""
    with api(environ, tmp_path, BINDERY_SHUTDOWN_DELAY="5") as running:
        running.process.send_signal(signal.SIGTERM)

        async def stopping() -> bool:
            return await asyncio.to_thread(running.ready) == (
                503,
                {"store": "ok", "queue": "ok", "process": "stopping"},
            )

        await eventually(stopping)
        answer = running.client.post("/v1/registrations", json=REGISTRATION)
        assert (answer.status_code, answer.headers["connection"]) == (202, "close")
        assert running.client.get("/readyz").status_code == 503
        assert running.client.get("/livez").status_code == 200
        assert await asyncio.to_thread(running.process.wait, 15) == 0


async def test_those_who_wait_are_answered_when_it_stops(environ: dict[str, str], tmp_path: Path) -> None:
    """With what is known, long before their time is up: it might be longer than the grace."""
    with api(environ, tmp_path, BINDERY_SHUTDOWN_GRACE="5") as running:
        waiting = asyncio.create_task(
            asyncio.to_thread(
                running.client.post, "/v1/registrations", json=REGISTRATION, headers={"Prefer": "wait=10"}
            )
        )

        async def waits() -> bool:
            return 'call="fetch"' in await asyncio.to_thread(lambda: running.probes.get("/metrics").text)

        await eventually(waits)
        running.process.send_signal(signal.SIGTERM)
        answer = await asyncio.wait_for(waiting, 5)
        assert (answer.status_code, answer.json()["state"]) == (202, "pending")
        assert await asyncio.to_thread(running.process.wait, 10) == 0


async def test_an_unrouted_request_has_its_line_and_its_count(environ: dict[str, str], tmp_path: Path) -> None:
    """No middleware sees it; path and query are in neither."""
    with api(environ, tmp_path, BINDERY_LOG_FORMAT="json") as running:
        answer = running.client.get("/nowhere/secret?secret", headers={"X-Request-ID": "request-9"})
        assert (answer.status_code, answer.headers["x-request-id"]) == (404, "request-9")
        assert running.client.put("/v1/registrations").status_code == 405
        metrics = running.probes.get("/metrics").text
        assert 'route="unmatched",status="404"} 1.0' in metrics
        assert "secret" not in metrics
        # Connections that are kept alive would be listened to for a while.
        running.client.close()
        running.probes.close()
        running.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(running.process.wait, 10) == 0
        log = (tmp_path / "api.log").read_text()
        assert '"route":"-","status":404' in log
        assert "secret" not in log
