"""Reading a request's body: bounded in size and in time, whatever the client announces or holds back."""

from __future__ import annotations

import asyncio

from litestar import Request
from litestar.datastructures import State

from service.api.headers import header
from service.domain import limits
from service.domain.errors import BodyTooLarge, InvalidInput, RequestTimeout, UnsupportedMediaType


async def read_bytes(request: Request[object, object, State]) -> bytes:
    """The body of a request.

    Raises:
        UnsupportedMediaType: it is compressed, or coded otherwise.
        BodyTooLarge: it is, or says that it is, longer than the limit.
        RequestTimeout: it did not come in time.
        InvalidInput: the client left in the middle of it; nobody reads this answer.
    """
    # Decoded by nobody, it would be told that it is not UTF-8.
    coding, transfer = (header(request.scope, name) or "" for name in (b"content-encoding", b"transfer-encoding"))
    if coding.strip().lower() not in ("", "identity") or transfer.strip().lower() not in ("", "chunked"):
        raise UnsupportedMediaType("The body must not be compressed")
    announced = header(request.scope, b"content-length") or "0"
    if announced.isdecimal() and (len(announced) > 10 or int(announced) > limits.BODY_BYTES):
        raise BodyTooLarge
    parts: list[bytes] = []
    size, more = 0, True
    try:
        async with asyncio.timeout(limits.BODY_SECONDS):
            while more:
                message = await request.receive()
                if message["type"] != "http.request":
                    raise InvalidInput("", "The request ended before its body did")
                size += len(message["body"])
                if size > limits.BODY_BYTES:
                    raise BodyTooLarge
                parts.append(message["body"])
                more = message["more_body"]
    except TimeoutError:
        raise RequestTimeout from None
    return parts[0] if len(parts) == 1 else b"".join(parts)
