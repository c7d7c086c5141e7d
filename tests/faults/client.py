"""A lean HTTP/1.1 client: one keep-alive connection, one request at a time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

import msgspec

PATIENCE = 10.0
"""Seconds that an answer may take."""


class Lost(Exception):
    """No answer came: the request may have taken effect or not."""


class Answer(msgspec.Struct, frozen=True):
    """An answer's status and body."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body, decoded."""
        return msgspec.json.decode(self.body)


class Connection:
    """A connection that is made when first used, and again after it was lost."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"", patience: float = PATIENCE
    ) -> Answer:
        """One request and its answer.

        Raises:
            Lost
        """
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}:{self._port}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join([*lines, "", ""]).encode()
        try:
            async with asyncio.timeout(patience):
                if self._streams is None:
                    self._streams = await asyncio.open_connection(self._host, self._port)
                reader, writer = self._streams
                writer.write(head + body)
                return await self._answer(reader)
        except (OSError, EOFError, TimeoutError) as error:
            await self.aclose()
            raise Lost(type(error).__name__) from error
        except asyncio.CancelledError:
            await self.aclose()
            raise

    async def _answer(self, reader: asyncio.StreamReader) -> Answer:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status_line, *lines = head.split("\r\n")
        status, length, closes = int(status_line.split(" ")[1]), 0, False
        for line in lines:
            name, _, value = line.partition(":")
            if name == "content-length":
                length = int(value)
            elif name == "transfer-encoding":
                raise AssertionError("an answer without a length")
            elif name == "connection":
                closes = value.strip() == "close"
        body = await reader.readexactly(length) if length else b""
        if closes:
            await self.aclose()
        return Answer(status, body)

    async def aclose(self) -> None:
        """Close; the next request connects anew."""
        if self._streams is not None:
            (_, writer), self._streams = self._streams, None
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
