"""HTTP as bytes: as much of it as a proxy speaks."""

from __future__ import annotations

import asyncio

HEAD_END = b"\r\n\r\n"


def method_and_path(head: bytes) -> tuple[str, str]:
    """What the request with this head asks for."""
    method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
    return method, path


def body_length(head: bytes) -> int:
    """Bytes of the body that follows this head."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def body_start(message: bytes) -> int:
    """Where the body of a message starts."""
    return message.index(HEAD_END) + len(HEAD_END)


async def ask(server: tuple[str, int], head: bytes, body: bytes, patience: float) -> bytes:
    """Pass a request on over a connection of its own; answers what came back, less what it says of the connection.

    Raises OSError if the connection fails, TimeoutError if the whole answer takes longer than ``patience`` seconds.
    """
    reader, writer = await asyncio.open_connection(*server)
    try:
        first, rest = _without_connection(head).split(b"\r\n", 1)
        writer.write(b"\r\n".join([first, b"Connection: close", rest]) + body)
        async with asyncio.timeout(patience):
            answer = await reader.read()
    finally:
        writer.close()
    return _without_connection(answer)


def refusal(status: int, retry_after: str | None = None, other: int | None = 20500) -> bytes:
    """An answer that says no, as the upstream says it; without a code, as somebody before it does."""
    code = {429: 20429, 503: 20503}.get(status, other)
    body = b'{"code": %d, "message": "a fault", "status": %d}' % (code, status) if code else b"<html>a fault</html>"
    lines = [b"HTTP/1.1 %d Fault" % status, b"Content-Type: application/json"]
    if retry_after is not None:
        lines.append(b"Retry-After: " + retry_after.encode())
    lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + HEAD_END + body


def _without_connection(message: bytes) -> bytes:
    """The message without what its head says of the connection."""
    start = message.index(HEAD_END)
    lines = [line for line in message[:start].split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join(lines) + message[start:]
