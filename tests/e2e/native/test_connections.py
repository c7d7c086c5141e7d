"""What a connection may cost, and what belongs to its requests: pipelining, trailers, offers of other protocols."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from service.cli.bounded_http import BoundedHttpProtocol
from tests.e2e.native.test_heads import START, answer, connected, echo

Send = Callable[[dict[str, object]], Awaitable[None]]

OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\nUpgrade: h2c\r\n"


@pytest.mark.parametrize("pieces", [1, 2])
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_an_offer_of_another_protocol_is_not_taken_up(pieces: int, framing: str) -> None:
    """A request with ``Upgrade: h2c`` is read as if it had not offered it (RFC 9110, 7.8), its body included.

    Java's HttpClient (and with it Spring's RestClient, Ktor) sends this with its requests by default.
    """
    if framing == "length":
        head, body = START + OFFER + b"Content-Length: 5\r\n\r\n", b"12345"
    else:
        head, body = START + OFFER + b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\n12345\r\n0\r\n\r\n"
    async with connected() as (reader, writer):
        for _ in range(2):
            if pieces == 1:
                writer.write(head + body)
            else:
                writer.write(head)
                await asyncio.sleep(0.05)
                writer.write(body)
            assert await answer(reader) == (200, b"5")


async def test_no_body_is_taken_for_a_request() -> None:
    """Whatever its request offers: a proxy that passes the offer on would give its answer to somebody else."""
    smuggled = b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n"
    async with connected() as (reader, writer):
        writer.write(START + OFFER + b"Content-Length: %d\r\n\r\n" % len(smuggled))
        await asyncio.sleep(0.05)
        writer.write(smuggled)
        assert await answer(reader) == (200, b"%d" % len(smuggled))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(answer(reader), 0.3)


async def test_no_request_behind_an_offer_is_lost() -> None:
    """Of pipelined requests all are answered, not only the first."""
    one = b"GET / HTTP/1.1\r\nHost: x\r\n" + OFFER + b"\r\n"
    async with connected() as (reader, writer):
        writer.write(one * 1500)
        for _ in range(1500):
            assert await answer(reader) == (200, b"0")


async def test_pipelined_requests_wait_in_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a few requests of a connection are taken in at a time, however many were sent: each costs 1 KiB or more."""
    longest = 0
    complete = BoundedHttpProtocol.on_response_complete

    def note(self: BoundedHttpProtocol) -> None:
        nonlocal longest
        longest = max(longest, len(self.pipeline))
        complete(self)

    monkeypatch.setattr(BoundedHttpProtocol, "on_response_complete", note)
    one, count = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 200_000
    async with connected() as (reader, writer):
        writer.write(one * count)
        for _ in range(200):
            assert await answer(reader) == (200, b"0")
        writer.transport.abort()
    # Once a connection reads 256 KiB at a time: about 10,000 of these.
    assert longest * len(one) < 600_000


async def test_an_idle_connection_is_kept_for_as_long_as_is_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    """BINDERY_KEEP_ALIVE, not the time that a head has: also where a body came after its answer."""
    monkeypatch.setattr("service.cli.bounded_http.HEAD_SECONDS", 0.2)

    async def refuse(_scope: object, _receive: object, send: Send) -> None:
        await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    monkeypatch.setattr("tests.e2e.native.test_heads.echo", refuse)
    async with connected() as (reader, writer):
        writer.write(START + b"Content-Length: 3\r\n\r\n")
        assert await answer(reader) == (401, b"")
        writer.write(b"abc")
        with pytest.raises(TimeoutError):  # nothing, and above all no end
            await asyncio.wait_for(reader.read(1), 1)
        writer.write(START + b"Content-Length: 0\r\n\r\n")
        assert await answer(reader) == (401, b"")


@pytest.mark.parametrize("line", [b"".join(b"x%d: \r\n" % n for n in range(6000)), b"x" * 60_000])
async def test_trailers_without_an_end_are_cut_off(line: bytes) -> None:
    """As a head without an end is: long before they have filled the memory. No credentials are needed for them."""
    async with connected() as (_, writer):
        writer.write(START + b"Transfer-Encoding: chunked\r\n\r\n0\r\nx: ")
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 20_000_000:
                writer.write(line)
                await writer.drain()
                sent += len(line)
        assert sent < 20_000_000


async def test_a_client_that_takes_in_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks and asks, and never reads: neither its answers nor its connection are kept for ever."""
    monkeypatch.setattr("service.cli.bounded_http.WRITE_SECONDS", 0.3)
    gone = asyncio.Event()
    lost = BoundedHttpProtocol.connection_lost

    def note(self: BoundedHttpProtocol, exc: Exception | None) -> None:
        lost(self, exc)
        gone.set()

    async def generous(_scope: object, _receive: object, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000000")]})
        await send({"type": "http.response.body", "body": b"a" * 1_000_000})

    monkeypatch.setattr("tests.e2e.native.test_heads.echo", generous)
    monkeypatch.setattr(BoundedHttpProtocol, "connection_lost", note)
    async with connected() as (_, writer):
        # The reader's buffer is bounded: from then on nothing is read.
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
        try:
            await asyncio.wait_for(gone.wait(), 5)
        finally:
            writer.transport.abort()


async def test_a_client_that_takes_in_little_at_a_time_gets_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only who takes in nothing is let go."""
    monkeypatch.setattr("service.cli.bounded_http.WRITE_SECONDS", 0.2)
    size = 12_000_000

    async def generous(_scope: object, _receive: object, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
        await send({"type": "http.response.body", "body": b"a" * size})

    monkeypatch.setattr("tests.e2e.native.test_heads.echo", generous)
    async with connected() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        taken = 0
        while taken < size:
            taken += len(await reader.read(1_000_000))
            assert not reader.at_eof()
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("target", [b"x:1", b"/", b"http://x/"])
@pytest.mark.parametrize("offer", [b"", OFFER])
async def test_there_is_no_tunnel(target: bytes, offer: bytes) -> None:
    """CONNECT, which always asks for another protocol, gets an answer and an end."""
    async with connected() as (reader, writer):
        writer.write(b"CONNECT " + target + b" HTTP/1.1\r\nHost: x\r\n" + offer + b"\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 4")


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """What answers takes its time, so that what comes after a request comes before its answer."""

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.1)
        await echo(scope, receive, send)

    monkeypatch.setattr("tests.e2e.native.test_heads.echo", slow)


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(
    "junk",
    [
        b"345 and more\r\n\r\n",
        START + b"X: " + b"a" * 140_000,
        b"GET http://a:99999999/ HTTP/1.1\r\nHost: x\r\n\r\n",
        START + b"Transfer-Encoding: chunked\r\n\r\nnot a length\r\n",
    ],
)
async def test_what_follows_a_request_and_is_none_is_not_its_answer(junk: bytes, count: int) -> None:
    """As when a length is told in characters of a body in bytes: what takes effect is answered, and not with 400."""
    async with connected() as (reader, writer):
        writer.write((START + b"Content-Length: 2\r\n\r\n12") * count + junk)
        for _ in range(count):
            assert await answer(reader) == (200, b"2")
        last = await reader.read()  # what follows cannot be understood: the end, with or without an answer that says so
        assert not last or last.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 "))


@pytest.mark.usefixtures("slow")
async def test_who_has_said_all_is_answered() -> None:
    """A client may end its own side and go on listening, as ``socat`` and ``ncat`` do; half a request ends both."""
    for sent in (2, 1):
        async with connected() as (reader, writer):
            writer.write(START + b"Content-Length: 2\r\n\r\n" + b"12"[:sent])
            writer.write_eof()
            if sent == 2:
                assert await answer(reader) == (200, b"2")
            assert await reader.read() == b""
    async with connected() as (reader, writer):
        writer.write_eof()
        assert await reader.read() == b""
