"""A proxy before an HTTP server that does what networks and servers do on bad days, by script or by seeded chance."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from enum import Enum
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from tests.servers.raw_http import HEAD_END, ask, body_length, body_start, method_and_path, refusal

_PATIENCE = 30.0
_LONGEST_HEAD = 64 * 1024


class Kind(Enum):
    """What a request meets. Only where it says so does the server get to see it."""

    DELAY = "delay"
    """The server sees it ``seconds`` later."""
    LATE = "late"
    """The server sees it when the test says ``release``; nobody gets the answer."""
    HELD = "held"
    """The server sees it; its answer comes when the test says ``release``."""
    NEVER = "never"
    """Taken, and never answered."""
    SILENCE = "silence"
    """The server sees it; its answer is kept back for good."""
    RESET_REQUEST = "reset-request"
    """The connection is reset in the middle of the request."""
    RESET_ANSWER = "reset-answer"
    """The server sees it; the connection is reset in the middle of the answer."""
    LOST_ANSWER = "lost-answer"
    """The server sees it; the connection is reset before the answer."""
    HALF_BODY = "half-body"
    """The server sees it; the connection ends in good order in the middle of the answer's body."""
    REFUSAL = "refusal"
    """Answered with ``status``, and ``retry_after`` if given."""
    REFUSAL_AFTER = "refusal-after"
    """The server sees it; answered with ``status`` all the same."""


REACHING = frozenset(
    {
        Kind.DELAY,
        Kind.LATE,
        Kind.HELD,
        Kind.SILENCE,
        Kind.RESET_ANSWER,
        Kind.LOST_ANSWER,
        Kind.HALF_BODY,
        Kind.REFUSAL_AFTER,
    }
)
"""The kinds with which the server sees the request."""


class Fault(NamedTuple):
    """One thing that happens to one request."""

    kind: Kind
    seconds: float = 0.0
    status: int = 503
    retry_after: str | None = None
    code: int | None = 20500


#: A bit of everything that an upstream may do to us.
ALL = (
    Fault(Kind.DELAY, seconds=0.05),
    Fault(Kind.NEVER),
    Fault(Kind.SILENCE),
    Fault(Kind.RESET_REQUEST),
    Fault(Kind.RESET_ANSWER),
    Fault(Kind.LOST_ANSWER),
    Fault(Kind.HALF_BODY),
    Fault(Kind.REFUSAL, status=429),
    Fault(Kind.REFUSAL, status=429, retry_after="1"),
    Fault(Kind.REFUSAL, status=500),
    Fault(Kind.REFUSAL, status=503, retry_after="1"),
    Fault(Kind.REFUSAL_AFTER, status=500),
)


class Seen(NamedTuple):
    """A request that came to the proxy, when (on the loop's clock), and what it met."""

    at: float
    method: str
    path: str
    body: bytes
    fault: Fault | None


class FaultProxy:
    """Listens on a free port of the loopback interface while its context lasts."""

    def __init__(self, server_url: str) -> None:
        parts = urlsplit(server_url)
        self._server = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._listener: asyncio.Server | None = None
        self._port = 0
        self._scripts: defaultdict[str, deque[Fault | None]] = defaultdict(deque)
        self._chance: tuple[random.Random, float, Sequence[Fault]] | None = None
        self._released = asyncio.Event()
        self._late: set[asyncio.Task[None]] = set()
        self._talks: set[asyncio.Task[None]] = set()
        self._met = asyncio.Condition()
        self._meetings: Counter[Kind] = Counter()
        self._refusal: tuple[str, Fault] | None = None
        self.seen: list[Seen] = []
        self.connections = 0
        """Connections that clients have made."""

    @property
    def url(self) -> str:
        """What clients are pointed at."""
        return f"http://127.0.0.1:{self._port}"

    def script(self, method: str, *faults: Fault | None) -> None:
        """What the next requests of this method meet, in turn; None is nothing."""
        self._scripts[method].extend(faults)

    def chance(self, seed: int, share: float, faults: Sequence[Fault] = ALL) -> None:
        """From now on this share of the requests that no script speaks of meets one of these."""
        self._chance = random.Random(seed), share, faults  # noqa: S311  # repeatable, not secret

    def refuse(self, text: str, status: int = 400, code: int | None = 20001) -> None:
        """From now on whatever says this in its path or body is refused, whoever else it is about."""
        self._refusal = text, Fault(Kind.REFUSAL, status=status, code=code)

    def calm(self) -> None:
        """No more faults."""
        self._refusal = None
        self._scripts.clear()
        self._chance = None

    async def release(self) -> None:
        """Let the server see every late request, and wait until it has answered them; let held answers go."""
        self._released.set()
        if self._late:
            await asyncio.wait_for(asyncio.gather(*self._late), _PATIENCE)
        self._released.clear()

    async def met(self, kind: Kind, times: int = 1) -> None:
        """Wait until so many requests have met this kind of fault; what the server was to see of it, it has seen."""
        async with self._met, asyncio.timeout(_PATIENCE):
            await self._met.wait_for(lambda: self._meetings[kind] >= times)

    async def _meet(self, kind: Kind) -> None:
        async with self._met:
            self._meetings[kind] += 1
            self._met.notify_all()

    @property
    def faults(self) -> Counter[Kind]:
        """How often each kind of fault was met."""
        return Counter(seen.fault.kind for seen in self.seen if seen.fault)

    def reached(self, method: str) -> list[Seen]:
        """The requests of this method that the server has seen, or will."""
        return [s for s in self.seen if s.method == method and (s.fault is None or s.fault.kind in REACHING)]

    async def up(self) -> None:
        """Listen (again, on the same port)."""
        if self._listener is None:
            self._listener = await asyncio.start_server(
                self._accept, "127.0.0.1", self._port, limit=_LONGEST_HEAD, reuse_address=True
            )
            self._port = self._listener.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Refuse connections, and reset those there are."""
        if self._listener is not None:
            for listening in self._listener.sockets:
                asyncio.get_running_loop().remove_reader(listening)
            # What was accepted just now is attached to the server first: once that is closed, asyncio would lose it.
            await asyncio.sleep(0)
            self._listener.close()
            self._listener = None
        for talk in list(self._talks):
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        await self.up()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.down()
        for late in self._late:
            late.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        self._talks.add(talk)
        self.connections += 1
        try:
            while await self._exchange(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            _reset(writer)
        finally:
            self._talks.discard(talk)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; answers whether the connection goes on."""
        head = await reader.readuntil(HEAD_END)
        method, path = method_and_path(head)
        fault = self._fault(method)
        body = b"" if fault and fault.kind is Kind.RESET_REQUEST else await reader.readexactly(body_length(head))
        if self._refusal and (self._refusal[0] in path or self._refusal[0].encode() in body):
            fault = self._refusal[1]
        self.seen.append(Seen(asyncio.get_running_loop().time(), method, path, body, fault))
        if fault and fault.kind not in REACHING - {Kind.LATE}:
            await self._meet(fault.kind)
        match fault.kind if fault else None:
            case None:
                writer.write(await ask(self._server, head, body, _PATIENCE))
            case Kind.DELAY:
                await asyncio.sleep(fault.seconds if fault else 0)
                writer.write(await ask(self._server, head, body, _PATIENCE))
                await self._meet(Kind.DELAY)
            case Kind.HELD:
                answer = await ask(self._server, head, body, _PATIENCE)
                await self._meet(Kind.HELD)
                await self._released.wait()
                writer.write(answer)
            case Kind.REFUSAL_AFTER | Kind.REFUSAL:
                assert fault is not None
                if fault.kind is Kind.REFUSAL_AFTER:
                    await ask(self._server, head, body, _PATIENCE)
                    await self._meet(fault.kind)
                writer.write(refusal(fault.status, fault.retry_after, fault.code))
            case Kind.RESET_REQUEST:
                _reset(writer)
                return False
            case kind:
                await self._break_off(kind, head, body, reader, writer)
                return False
        await writer.drain()
        return True

    async def _break_off(
        self, kind: Kind, head: bytes, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if kind is Kind.LATE:
            late = asyncio.ensure_future(self._deliver_late(head, body))
            self._late.add(late)
            late.add_done_callback(self._late.discard)
        elif kind is not Kind.NEVER:
            answer = await ask(self._server, head, body, _PATIENCE)
            await self._meet(kind)
            start = body_start(answer)
            if kind is Kind.RESET_ANSWER:
                writer.write(answer[: start // 2])
                await writer.drain()
            elif kind is Kind.HALF_BODY:
                # Of an answer without a body there is no half: then the client is left with half of its head.
                writer.write(answer[: (start + len(answer)) // 2 if start < len(answer) else start // 2])
                await writer.drain()
        if kind in (Kind.LATE, Kind.NEVER, Kind.SILENCE):
            # Until the client gives up.
            await reader.read(1)
        elif kind is not Kind.HALF_BODY:
            _reset(writer)

    async def _deliver_late(self, head: bytes, body: bytes) -> None:
        await self._released.wait()
        await ask(self._server, head, body, _PATIENCE)

    def _fault(self, method: str) -> Fault | None:
        if self._scripts[method]:
            return self._scripts[method].popleft()
        if self._chance is None:
            return None
        dice, share, faults = self._chance
        return dice.choice(faults) if dice.random() < share else None


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        taken = writer.get_extra_info("socket")
        if taken is not None:
            # Closed with this, a connection is reset: whoever still writes or waits learns of it at once.
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
