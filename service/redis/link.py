"""One connection: commands go out in the order given, replies resolve their futures in the same order."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeAlias, cast

import hiredis
import msgspec

from service.redis.errors import DEMOTED, NotSent, OutcomeUnknown, ReplyError

#: A RESP2 reply. A list may hold a ReplyError, if a script or a transaction returned one inside it.
Reply: TypeAlias = "int | bytes | list[Reply] | ReplyError | None"


#: What a command's words may be; text is sent as UTF-8, numbers in decimal.
Argument: TypeAlias = bytes | str | int | float

#: Encodes a command for the wire. The cast: hiredis's stub asks for a tuple of exactly one word.
pack = cast("Callable[[tuple[Argument, ...]], bytes]", hiredis.pack_command)


class Call(msgspec.Struct, frozen=True, gc=False):
    """A command on its way. `deadline` is on the clock of time.monotonic().

    `asking` sends ASKING before it, in the same write, so that nothing can come between.
    """

    future: asyncio.Future[Reply]
    packed: bytes
    deadline: float
    asking: bool = False


#: Stands in the queue for ASKING, whose reply nobody waits for.
_NOBODY: Call | None = None
_ASKING = pack(("ASKING",))


def _ignore(_: Link) -> None:
    """The callback of a link that nobody owns yet."""


class Link(asyncio.Protocol):
    """A connection, from connection_made to connection_lost. It never sends anything twice."""

    def __init__(self) -> None:
        self.inflight: deque[Call | None] = deque()
        self.on_writable: Callable[[Link], None] = _ignore
        self.on_demoted: Callable[[Link], None] = _ignore
        self.on_lost: Callable[[Link], None] = _ignore
        self.reason = "the connection to Redis was lost"
        self.closed = asyncio.Event()
        self._reader = hiredis.Reader(
            protocolError=hiredis.ProtocolError, replyError=ReplyError.parse, errors="replace"
        )
        self._gets: Callable[[bool], Reply | bool] = self._reader.gets
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self._retiring = False

    @property
    def writable(self) -> bool:
        """Whether bytes handed over now would go straight to the operating system."""
        transport = self._transport
        return transport is not None and not self._paused and not transport.is_closing()

    def write(self, calls: Iterable[Call]) -> None:
        """Hands the calls that somebody still waits for to the transport, in one write.

        From here on their outcome depends on the server. Raises NotSent if the connection is gone.
        """
        transport = self._transport
        if transport is None:
            raise NotSent(self.reason)
        inflight, data = self.inflight, []
        for call in calls:
            if call.future.done():
                continue
            if call.asking:
                inflight.append(_NOBODY)
                data.append(_ASKING)
            inflight.append(call)
            data.append(call.packed)
        if data:
            transport.write(b"".join(data))

    def ask(self, *args: Argument) -> asyncio.Future[Reply]:
        """Sends one command at once: for handshakes and discovery, before the link has an owner to keep deadlines.

        Raises NotSent if the connection is gone already.
        """
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.write((Call(future, pack(args), math.inf),))
        return future

    def expire(self, now: float, grace: float) -> None:
        """Fails the calls that are past their deadline.

        Drops the connection if the oldest is past it by `grace` seconds: the server has stopped answering.
        """
        for call in self.inflight:
            if call is not None and call.deadline <= now and not call.future.done():
                call.future.set_exception(OutcomeUnknown("Redis did not reply in time"))
        oldest = next((call for call in self.inflight if call is not None), None)
        if oldest is not None and oldest.deadline + grace <= now:
            self.abort("Redis stopped replying")

    def retire(self) -> None:
        """Closes once every reply under way has come in. The owner sends nothing more."""
        self._retiring = True
        if not self.inflight:
            self.abort("the connection was no longer needed")

    def abort(self, reason: str) -> None:
        """Closes now. What is in flight fails with OutcomeUnknown(reason)."""
        self.reason = reason
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Streams are all that asyncio's and uvloop's create_connection make, whatever their class is called.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        inflight, gets = self.inflight, self._gets
        try:
            self._reader.feed(data)
            # `False` is hiredis's "not enough data": RESP2 has no booleans.
            while (reply := gets(False)) is not False:
                if not inflight:
                    # Servers greet a client that they will not serve with an error nobody asked for.
                    farewell = isinstance(reply, ReplyError)
                    self.abort(str(reply) if farewell else "Redis sent an unexpected reply")
                    return
                call = inflight.popleft()
                if call is None or call.future.done():
                    continue
                if reply.__class__ is ReplyError:
                    self._fail(call.future, reply)
                else:
                    call.future.set_result(reply)
        except hiredis.ProtocolError:
            self.abort("what the server sends is not RESP")
            return
        if self._retiring and not inflight:
            self.abort("the connection was no longer needed")

    def _fail(self, future: asyncio.Future[Reply], error: ReplyError) -> None:
        future.set_exception(error)
        if error.code in DEMOTED:
            self.on_demoted(self)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self.on_writable(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._transport = None
        for call in self.inflight:
            if call is not None and not call.future.done():
                call.future.set_exception(OutcomeUnknown(self.reason))
        self.inflight.clear()
        self.closed.set()
        self.on_lost(self)
