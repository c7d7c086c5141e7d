"""What comes before a body is bounded, in size and in time, on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest
import uvicorn
from uvicorn.server import ServerState

from service.cli.bounded_http import HEAD_BYTES, PATH_BYTES, BoundedHttpProtocol
from tests.e2e.compatible.deployment import ACCOUNT, CHAT, SERVICE, TOKEN
from tests.servers.valkey import wait_until
from tests.waiting import eventually

START = b"POST / HTTP/1.1\r\nHost: x\r\n"
Connect = Callable[[], Any]


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the length of the body."""
    assert scope["type"] == "http"
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    body = str(size).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def _is_empty(state: ServerState) -> bool:
    return not state.connections and not state.tasks


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server that speaks the protocol."""
    config = uvicorn.Config(echo, http=BoundedHttpProtocol, ws="none", lifespan="off", log_config=None)
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: BoundedHttpProtocol(config, state, {}), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(10):
            yield reader, writer
    finally:
        writer.transport.abort()
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        await eventually(lambda: _is_empty(state))


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The status and body of the next answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    [length] = [int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length")]
    return int(head.split()[1]), await reader.readexactly(length)


def request(head: int, body: int) -> bytes:
    """A request with a head and a body of so many bytes."""
    start = START + b"Content-Length: %d\r\nX: " % body
    return start + b"a" * (head - len(start) - 4) + b"\r\n\r\n" + b"b" * body


@pytest.mark.parametrize("piece", [10_000_000, 1000, 70_000])
@pytest.mark.parametrize(("head", "status"), [(HEAD_BYTES, 200), (HEAD_BYTES + 1, 431), (100, 200)])
async def test_a_head_has_a_longest_length_and_a_body_does_not_count(piece: int, head: int, status: int) -> None:
    """However it is cut into pieces; up to the limit requests are answered, one after the other."""
    async with connected() as (reader, writer):
        for _ in range(2):
            sent = request(head, 300_000 if status == 200 else 0)
            for at in range(0, len(sent), piece):
                writer.write(sent[at : at + piece])
                await writer.drain()
            got, body = await answer(reader)
            assert got == status
            if status == 431:
                assert await reader.read() == b""
                return
            assert body == b"300000"


@pytest.mark.parametrize(("length", "status"), [(PATH_BYTES, 200), (PATH_BYTES + 1, 414)])
async def test_a_path_has_a_longest_length_and_a_query_does_not_count(length: int, status: int) -> None:
    """The application never sees one that is longer: whatever it remembers of paths stays small."""
    path = b"/" + b"a" * (length - 1)
    async with connected() as (reader, writer):
        for _ in range(2):
            writer.write(b"POST %b?%b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" % (path, b"q" * 9000))
            got, body = await answer(reader)
            assert (got, body == b"3") == (status, status == 200)
            if status == 414:
                assert set(msgspec.json.decode(body)) == {"code", "message", "more_info", "status"}
        writer.write(request(100, 5))
        assert await answer(reader) == (200, b"5")


async def test_one_connection_too_many_is_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """In time, and with word when."""
    monkeypatch.setattr("service.cli.bounded_http.CONNECTIONS", 0)
    async with connected() as (reader, writer):
        writer.write(request(100, 0))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert {b"retry-after: 1", b"connection: close"} < set(head.lower().split(b"\r\n"))


async def test_pipelined_requests_are_each_measured_by_themselves() -> None:
    """Many heads in a row may be longer together than one."""
    async with connected() as (reader, writer):
        writer.write(request(30_000, 10) * 6)
        for _ in range(6):
            assert await answer(reader) == (200, b"10")


async def test_a_head_without_an_end_is_cut_off() -> None:
    """Long before it has filled the memory."""
    async with connected() as (_, writer):
        writer.write(START)
        sent = 0
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                writer.write(b"X: " + b"a" * 100_000 + b"\r\n")
                await writer.drain()
                sent += 1
        assert sent < 500


@pytest.mark.parametrize(("first", "then"), [(b"", b""), (b"", START), (request(100, 3), START[:9])])
async def test_a_head_that_does_not_come_is_not_waited_for(
    first: bytes, then: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that never asks, or never finishes asking, is closed."""
    monkeypatch.setattr("service.cli.bounded_http.HEAD_SECONDS", 0.1)
    async with connected() as (reader, writer):
        if first:
            writer.write(first)
            assert await answer(reader) == (200, b"3")
        writer.write(then)
        assert await reader.read() == b""


async def test_a_slow_answer_is_not_a_slow_head(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the head is there, its time is over: the body has one of its own."""
    monkeypatch.setattr("service.cli.bounded_http.HEAD_SECONDS", 0.1)
    async with connected() as (reader, writer):
        writer.write(request(100, 3)[:-3])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.5)
        writer.write(b"bbb")
        assert await answer(reader) == (200, b"3")


def test_the_api_speaks_it(server: str) -> None:
    """`bindery api` refuses a head that is too long, and goes on serving others."""
    address = (urlsplit(server).hostname, urlsplit(server).port)
    for _ in range(2):
        with socket.create_connection(address, timeout=10) as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nX: " + b"a" * HEAD_BYTES)
            assert connection.recv(100).startswith(b"HTTP/1.1 431 ")


def test_what_answers_get_answers_head(server: str, api_directory: Path) -> None:
    """With the same head, and no body: what watches from outside asks like that (RFC 9110, 9.1 and 9.3.2)."""
    paths = ["/livez", "/readyz", "/version", "/schema", "/schema/openapi.json", "/schema/assets/swagger-ui.css"]
    paths += ["/v1/identities/alice/bindings", f"/v1/Services/{SERVICE}/Bindings", f"/v2/Services/{CHAT}/Bindings"]
    with httpx.Client(base_url=server, auth=(ACCOUNT, TOKEN)) as client:
        for path in [*paths, "/nothing", "/v1/registrations/nothing"]:
            asked, got = client.head(path), client.get(path)
            assert (asked.status_code, asked.content) == (got.status_code, b""), path
            assert got.status_code == (200 if path in paths else 404)
            for name in ("content-type", "content-length"):
                assert asked.headers[name] == got.headers[name], path
        assert client.head("/v1/lookups").status_code == 405
        assert "HEAD" in client.put("/livez").headers["allow"]

    def heads() -> int:
        written, _, _ = (api_directory / "api.log").read_bytes().rpartition(b"\n")
        return sum(msgspec.json.decode(line).get("method") == "HEAD" for line in written.splitlines())

    # They are written down as what they were, be it a moment after the answer.
    wait_until(lambda: heads() == len(paths) + 3, "all are written down")
