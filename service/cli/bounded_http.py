"""uvicorn's HTTP protocol, with bounds on what comes before a body: how long a request's head may be, and may take.

It also lets go of its connection gently when the server stops, and turns away what is more than a process can bear.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sized
from typing import Any, cast

import httptools
from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.api.errors import turned_away
from service.domain.errors import InvalidInput, PathTooLong, TooManyConnections

HEAD_BYTES = 64 * 1024
"""The longest head: request line and headers."""

PATH_BYTES = 4 * 1024
"""The longest path, percent-encoded: an identity of 256 characters may take three quarters of it.

The framework remembers the last thousand, whoever asked for them: of heads of 64 KiB that would be half a gigabyte.
"""

CONNECTIONS = 10_000
"""So many at a time are served, and so many requests: more would run out of memory, or of file descriptors."""

FRAMING_BYTES = 1024 * 1024
"""What a message may have behind its head that is not its body: the lengths of its chunks, and trailers."""

WRITE_SECONDS = 30.0
"""How long a client may take in nothing of what it has asked for."""

HEAD_SECONDS = 10.0
"""What a client may take to send a head, from the connection or from the head's first bytes on."""

LINGER_SECONDS = 1.0
"""How long a silent connection is listened to after the server has begun to stop: its client may be just sending."""

_TOO_LARGE = b"Request Header Fields Too Large"

_too_long = cast(ASGI3Application, turned_away(PathTooLong()))
_too_many = cast(ASGI3Application, turned_away(TooManyConnections()))
_unreadable = cast(ASGI3Application, turned_away(InvalidInput("", "The request could not be read")))


def _as_get(app: ASGI3Application) -> ASGI3Application:
    """``app`` as it is asked for what a GET would answer; of a HEAD's answer uvicorn sends the head alone.

    What the client has asked for is told beside it, to who writes it down.
    """

    async def application(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await app(cast(Scope, {**scope, "method": "GET", "asked": "HEAD"}), receive, send)

    return application


class _Reading(FlowControl):
    """uvicorn's flow control, but nothing is read while requests of the connection ``wait`` for their turn.

    Else each answer lets in another quarter of a megabyte: thousands of requests for one, and gigabytes of them in all.
    """

    def __init__(self, transport: asyncio.Transport, waiting: Sized) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        """Read on, unless there is enough to do."""
        if not self._waiting:
            super().resume_reading()


class BoundedHttpProtocol(HttpToolsProtocol):
    """Answers 431 (RFC 6585) to a head that is too long, and closes; closes silently what sends none in time.

    A path that is too long is answered 414, and who is one too many 503, before any of the application is asked.
    The parser alone keeps whatever it is sent until the head is complete.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._framing_bytes = 0
        self._write_timer: asyncio.TimerHandle | None = None
        self._upgrade_offered = False
        self._deaf = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """A client has connected."""
        super().connection_made(transport)
        self.flow = _Reading(transport, self.pipeline)
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """It has gone."""
        self._stop_timer()
        self.resume_writing()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # as asyncio's
        """The client sends no more. What it has asked for in full it is still answered, and then let go."""
        if self._idle() or not self._in_head:
            return False
        self.cycle.keep_alive = False
        return True

    def pause_writing(self) -> None:
        """The client takes in less than it asks for: whoever takes in nothing at all is let go."""
        super().pause_writing()
        self._watch(self.transport.get_write_buffer_size())

    def _watch(self, left: int) -> None:
        self._write_timer = self.loop.call_later(WRITE_SECONDS, self._look, left)

    def _look(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if left >= before:
            self.transport.abort()
        else:
            self._watch(left)

    def resume_writing(self) -> None:
        """It takes in again."""
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header of the head. Trailers (RFC 9112, 7.1.2) are read by nobody here, and there is no end to them."""
        if self._in_head:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """A piece of a body."""
        self._framing_bytes -= len(body)
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """A head is complete."""
        if self.parser.should_upgrade():
            self._upgrade_offered = True
            return
        if self._head_timer is not None:
            self._stop_timer()
        app = self.app
        if len(self.url.partition(b"?")[0]) > PATH_BYTES:
            self.app = _too_long
        elif len(self.connections) > CONNECTIONS or len(self.tasks) >= CONNECTIONS:
            self.app = _too_many
        elif self.parser.get_method() == b"HEAD":
            # "All general-purpose servers MUST support the methods GET and HEAD" (RFC 9110, 9.1).
            self.app = _as_get(self.app)
        super().on_headers_complete()
        # Only now: an address that cannot be read has made its head none.
        self._in_head, self._head_bytes, self._framing_bytes = False, 0, 0
        self.app = app
        if self._stopping():
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """The server stops: end with the answer under way, or with the next one, or after a second of silence."""
        if self._idle():
            self.loop.call_later(LINGER_SECONDS, self._leave)
        else:
            self.cycle.keep_alive = False

    def _leave(self) -> None:
        # A head that has begun has its own time, and its request an answer.
        if self._idle() and not self._head_bytes:
            self.transport.close()

    def _stopping(self) -> bool:
        return bool(getattr(self.server_state, "stopping", False))

    def on_message_complete(self) -> None:
        """A request is complete; what follows is the next one's head."""
        if self._upgrade_offered:
            return
        self._in_head = True
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Bytes of a head, a body, or both."""
        if self._deaf:
            return
        room = HEAD_BYTES - self._head_bytes
        if not self._in_head or len(data) <= room:
            self._feed(data)
            return
        # A body may follow the head in these bytes: only what is still head after so many is too long.
        self._feed(data[:room])
        if self.transport.is_closing():
            return
        if self._head_bytes >= HEAD_BYTES:
            self._refuse()
        else:
            self.data_received(data[room:])

    def _feed(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        else:
            self._framing_bytes += len(data)
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            message = "Invalid HTTP request received."
            self.logger.warning(message)
            if not self._left_to_its_answers():
                self.send_400_response(message)
            return
        if self._framing_bytes > FRAMING_BYTES:
            self.transport.abort()
            return
        if not self._idle():
            return
        if self._in_head and not self._head_bytes:
            # That was the rest of a body which had its answer already: nothing of a next request.
            self._stop_timer()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _parse(self, data: bytes | memoryview) -> None:
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                data = memoryview(data)[offer.args[0] :]
                self._decline()
            else:
                return

    def _decline(self) -> None:
        """Read a head anew, without its offer of another protocol (RFC 9110, 7.8; Java's client makes one by default).

        The parser takes what follows such a head for the other protocol: never for the body, and once for a request.

        Raises:
            httptools.HttpParserUpgrade: a CONNECT, which is nothing without its offer.
        """
        self._upgrade_offered = False
        start = b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        lines = [b"%b: %b\r\n" % (name, value) for name, value in self.headers if name != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(b"".join([start, *lines, b"\r\n"]))

    def _idle(self) -> bool:
        # Before the first request there is no cycle, whatever its type says.
        return bool(getattr(self.cycle, "response_complete", True))

    def _left_to_its_answers(self) -> bool:
        """What was asked in full before something that is none has its own answers; the last ends the connection.

        An error sent now would be taken for one of them: a request that takes effect would be answered 400.
        """
        if self._idle() or not (self._in_head or self.pipeline):
            return False
        if not self._in_head:
            # A body that is none, of the last request that waits for its turn: it is answered then.
            self.pipeline[0] = self.cycle, _unreadable
        self._deaf = True
        self.cycle.keep_alive = False
        return True

    def _refuse(self) -> None:
        if self._left_to_its_answers():
            return
        self.transport.write(
            b"HTTP/1.1 431 %b\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n"
            b"connection: close\r\n\r\n%b" % (_TOO_LARGE, len(_TOO_LARGE), _TOO_LARGE)
        )
        self.transport.close()

    def _give_up(self) -> None:
        self._head_timer = None
        self.transport.close()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
