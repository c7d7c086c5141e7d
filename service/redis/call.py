"""A command on its way: its words, its future, and what may come back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import TypeAlias, cast

import hiredis
import msgspec

from service.redis.errors import ReplyError

#: A RESP2 reply. A list may hold a ReplyError, if a script or a transaction returned one inside it.
Reply: TypeAlias = "int | bytes | list[Reply] | ReplyError | None"


#: What a command's words may be; text is sent as UTF-8, numbers in decimal.
Argument: TypeAlias = bytes | str | int | float

#: Encodes a command for the wire. The cast: hiredis's stub asks for a tuple of exactly one word.
pack = cast("Callable[[tuple[Argument, ...]], bytes]", hiredis.pack_command)


class Call(msgspec.Struct, frozen=True, gc=False):
    """A command on its way. `deadline` is on the clock of time.monotonic().

    `asking` sends ASKING before it, in the same write, so that nothing can come between. `key` is where it belongs.
    """

    future: asyncio.Future[Reply]
    packed: bytes
    deadline: float
    asking: bool = False
    key: bytes | None = None


class Mark(Enum):
    """Stands in the queue of calls for a command of our own, whose reply no caller waits for."""

    ASKING = "what is asked next may be on its way to another server"
    BEAT = "a write for the replicas"
    WAIT = "how many replicas have it"
