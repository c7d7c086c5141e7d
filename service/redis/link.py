"""One connection: commands go out in the order given, replies resolve their futures in the same order."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import cast

import hiredis

from service.redis.call import Argument, Call, Mark, Reply, pack
from service.redis.confirming import Confirming
from service.redis.errors import DEMOTED, NotSent, OutcomeUnknown, ReplyError

_ASKING = pack(("ASKING",))


def _ignore(_: Link) -> None:
    """The callback of a link that nobody owns yet."""


class Link(asyncio.Protocol):
    """A connection, from connection_made to connection_lost. It never sends anything twice."""

    def __init__(self) -> None:
        self.inflight: deque[Call | Mark] = deque()
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
        self._confirming: Confirming | None = None

    def confirm(self, replicas: int, seconds: float) -> None:
        """From now on, hold replies back until so many replicas confirm them, within so many seconds."""
        self._confirming = Confirming(replicas, seconds)

    @property
    def writable(self) -> bool:
        """Whether bytes handed over now would go straight to the operating system, and would not wait there."""
        transport, confirming = self._transport, self._confirming
        if transport is None or self._paused or transport.is_closing():
            return False
        return confirming is None or not confirming.under_way

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
                inflight.append(Mark.ASKING)
                data.append(_ASKING)
            inflight.append(call)
            data.append(call.packed)
        if not data:
            return
        if self._confirming is not None:
            sent = [call for call in inflight if isinstance(call, Call)]
            for mark, packed in self._confirming.questions(sent):
                inflight.append(mark)
                data.append(packed)
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
        calls, confirming = [call for call in self.inflight if isinstance(call, Call)], self._confirming
        oldest = calls[0].deadline if calls else math.inf
        if confirming is not None and confirming.under_way:
            calls, oldest = [*confirming.held, *calls], confirming.deadline
        for call in calls:
            if call.deadline <= now and not call.future.done():
                call.future.set_exception(OutcomeUnknown("Redis did not reply in time"))
        if oldest + grace <= now:
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
        inflight, gets, confirming = self.inflight, self._gets, self._confirming
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
                if isinstance(call, Mark):
                    self._note(call, reply)
                elif call.future.done():
                    continue
                elif reply.__class__ is ReplyError:
                    self._fail(call.future, reply)
                elif confirming is not None:
                    confirming.hold(call, reply)
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

    def _note(self, mark: Mark, reply: Reply) -> None:
        if self._confirming is None or mark is Mark.ASKING:
            return
        self._confirming.note(mark, reply)
        if isinstance(reply, ReplyError) and (mark is Mark.WAIT or reply.code in DEMOTED):
            # WAIT fails on a server that is no primary, or that has just ceased to be one.
            self.on_demoted(self)
        elif mark is Mark.WAIT:
            self.on_writable(self)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self.on_writable(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._transport = None
        for call in self.inflight:
            if isinstance(call, Call) and not call.future.done():
                call.future.set_exception(OutcomeUnknown(self.reason))
        self.inflight.clear()
        if self._confirming is not None:
            self._confirming.fail(self.reason)
        self.closed.set()
        self.on_lost(self)
