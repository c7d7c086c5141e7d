"""Waiting until the API says it is ready."""

import asyncio

_POLL = 0.03
_PATIENCE = 3.0


async def ready(host: str, port: int) -> None:
    """Return once `GET /readyz` answers 200. The caller sets the limit."""
    while await status(host, port) != 200:  # noqa: ASYNC110  # nothing would set an Event
        await asyncio.sleep(_POLL)


async def status(host: str, port: int) -> int | None:
    """The status of `GET /readyz`; None if there is no answer in time."""
    try:
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                words = (await reader.readline()).split()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return None
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None
