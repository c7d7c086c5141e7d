"""Where a process is asked how it is: `/metrics`, `/livez` and `/readyz`, on a port apart from what it serves.

It has neither credentials nor TLS: it belongs on a network that only Prometheus and the orchestrator reach. It is
answered by the process's own event loop, so that an answer says that the loop turns.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import TypeAlias

import msgspec
import structlog

from service.sockets import bind
from service.telemetry.exposition import render

Probe: TypeAlias = Callable[[], Awaitable[tuple[bool, msgspec.Struct]]]
"""Answers whether it holds, and what to say of it."""

_SECONDS = 5.0
_HEAD_BYTES = 8 * 1024
_AT_ONCE = 32
_JSON = "application/json"

_log = structlog.get_logger(__name__)


class Answer(msgspec.Struct, frozen=True):
    """What a request is answered with."""

    status: HTTPStatus
    body: bytes = b""
    media_type: str = _JSON


@asynccontextmanager
async def listening(
    host: str, port: int | None, probes: Mapping[str, Probe], *, inherited: str | None = None
) -> AsyncIterator[int | None]:
    """Answer while the context lasts; yields the port, None if there is nothing to listen on.

    ``inherited`` is the file descriptor of a socket that several processes share: whichever of them answers there
    shows the metrics of all, and none has probes.

    Raises:
        OSError: the address cannot be listened on; it has been logged.
    """
    if inherited is None and port is None:
        yield None
        return
    if inherited is not None:
        sock = socket.socket(fileno=os.dup(int(inherited)))
    else:
        try:
            sock = bind(host, port or 0)
        except OSError as error:
            _log.error("cannot_listen", setting="BINDERY_METRICS_PORT", host=host, port=port, reason=error.strerror)
            raise
    desk = _Desk({} if inherited is not None else probes)
    server = await asyncio.start_server(desk.serve, sock=sock, limit=_HEAD_BYTES)
    try:
        yield sock.getsockname()[1]
    finally:
        server.close()
        desk.close()


class _Desk:
    def __init__(self, probes: Mapping[str, Probe]) -> None:
        self._probes = probes
        self._callers: set[asyncio.StreamWriter] = set()

    def close(self) -> None:
        for writer in self._callers:
            writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._callers) >= _AT_ONCE:
            writer.close()
            return
        self._callers.add(writer)
        try:
            async with asyncio.timeout(_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                answer = await self._answer(head.decode("latin-1").split("\r\n"))
                writer.write(_on_the_wire(answer, without_body=head.startswith(b"HEAD ")))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asks badly gets no answer
        finally:
            self._callers.discard(writer)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, lines: list[str]) -> Answer:
        method, _, rest = lines[0].partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        if path != "/metrics" and path not in self._probes:
            return Answer(HTTPStatus.NOT_FOUND)
        if method not in ("GET", "HEAD"):
            return Answer(HTTPStatus.METHOD_NOT_ALLOWED)
        if path == "/metrics":
            # Aside: thousands of lines take milliseconds, which requests should not wait for.
            body, media_type = await asyncio.to_thread(render, _accept(lines[1:]))
            return Answer(HTTPStatus.OK, body, media_type)
        holds, said = await self._probes[path]()
        return Answer(HTTPStatus.OK if holds else HTTPStatus.SERVICE_UNAVAILABLE, msgspec.json.encode(said))


def _accept(lines: list[str]) -> str:
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip().lower() == "accept":
            return value.strip()
    return ""


def _on_the_wire(answer: Answer, *, without_body: bool) -> bytes:
    allow = "Allow: GET, HEAD\r\n" if answer.status is HTTPStatus.METHOD_NOT_ALLOWED else ""
    head = (
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}\r\nContent-Type: {answer.media_type}\r\n{allow}"
        f"Content-Length: {len(answer.body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (b"" if without_body else answer.body)
