"""The load generator: requests built beforehand, sent over keep-alive connections by one lean event loop.

It runs in a process of its own (that of the benchmark itself, which does nothing else meanwhile) and reports its own
CPU time, so that a run shows whether it was the bottleneck.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import cast

import msgspec

CONNECTIONS = 32
_PATIENCE = 60.0
_TICK = 0.002


class Result(msgspec.Struct, kw_only=True):
    """What one run saw. Times are in seconds."""

    seconds: float
    cpu_seconds: float
    """Of the generator."""
    latencies: list[float]
    answered: list[float]
    """When each request was answered, on the clock of time.perf_counter; by the request's number."""
    statuses: dict[int, int]
    sample: list[tuple[int, bytes]]
    """Every so many-th request's number, with the body of its answer."""
    unexpected: str = ""

    @property
    def count(self) -> int:
        """Answers."""
        return len(self.latencies)

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.count / self.seconds

    @property
    def busy(self) -> float:
        """The share of a core that the generator took."""
        return self.cpu_seconds / self.seconds

    def followed_by(self, other: Result) -> Result:
        """Both as one: requests of the other count on from ours."""
        statuses = dict(self.statuses)
        for status, count in other.statuses.items():
            statuses[status] = statuses.get(status, 0) + count
        return Result(
            seconds=self.seconds + other.seconds,
            cpu_seconds=self.cpu_seconds + other.cpu_seconds,
            latencies=self.latencies + other.latencies,
            answered=self.answered + other.answered,
            statuses=statuses,
            sample=self.sample + [(len(self.answered) + number, body) for number, body in other.sample],
            unexpected=self.unexpected or other.unexpected,
        )

    def check(self, *statuses: int) -> None:
        """Raises AssertionError unless every request was answered with one of these statuses."""
        wrong = {status: count for status, count in self.statuses.items() if status not in statuses}
        if wrong or self.count != len(self.answered):
            raise AssertionError(f"statuses {self.statuses} of {len(self.answered)} requests: {self.unexpected}")


async def run(
    port: int,
    requests: Sequence[bytes],
    *,
    connections: int = CONNECTIONS,
    rate: float = 0,
    sample: int = 100,
    begin: Callable[[], object] | None = None,
) -> Result:
    """Send every request once: each connection the next one as soon as it has its answer, or ``rate`` per second.

    ``begin`` is called once all are connected, right before the first request.

    Raises TimeoutError if the server stops answering, ConnectionError if it hangs up.
    """
    load = _Load(requests, rate, sample)
    loop = asyncio.get_running_loop()
    clients = [
        (await loop.create_connection(lambda: _Connection(load), "127.0.0.1", port))[1] for _ in range(connections)
    ]
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    if begin is not None:
        begin()
    cpu, load.started = time.process_time(), time.perf_counter()
    try:
        load.start(clients)
        async with asyncio.timeout(_PATIENCE + (len(requests) / rate if rate else 0)):
            await load.done
    finally:
        if collecting:
            gc.enable()
        for client in clients:
            client.transport.close()
    ended = time.perf_counter()
    return Result(
        seconds=ended - load.started,
        cpu_seconds=time.process_time() - cpu,
        latencies=load.latencies,
        answered=load.answered,
        statuses={int(status): count for status, count in load.statuses.items()},
        sample=load.kept,
        unexpected=load.unexpected,
    )


class _Load:
    """What the connections share."""

    def __init__(self, requests: Sequence[bytes], rate: float, sample: int) -> None:
        self.requests = requests
        self.rate = rate
        self.started = 0.0
        self.latencies: list[float] = []
        self.answered = [0.0] * len(requests)
        self.statuses: dict[bytes, int] = {}
        self.kept: list[tuple[int, bytes]] = []
        self.unexpected = ""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sample = sample
        self._sent = 0
        self._idle: deque[_Connection] = deque()

    def start(self, clients: Sequence[_Connection]) -> None:
        """Begin on all connections."""
        if self.rate:
            self._idle.extend(clients)
            self._pump()
        else:
            for client in clients:
                self._next(client)

    def answer(self, client: _Connection, number: int, status: bytes, body: bytes, latency: float) -> None:
        """Take an answer, and give the connection its next request."""
        self.latencies.append(latency)
        self.answered[number] = client.sent + latency
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status[:1] != b"2" and not self.unexpected:
            self.unexpected = body[:500].decode(errors="replace")
        if number % self._sample == 0:
            self.kept.append((number, body))
        if len(self.latencies) == len(self.requests):
            self.done.set_result(None)
        elif self.rate and self._sent >= self._due():
            self._idle.append(client)
        else:
            self._next(client)

    def lost(self) -> None:
        """A connection has gone."""
        if not self.done.done():
            self.done.set_exception(ConnectionError("the server closed a connection"))

    def _due(self) -> int:
        return min(len(self.requests), int((time.perf_counter() - self.started) * self.rate) + 1)

    def _pump(self) -> None:
        due = self._due()
        while self._idle and self._sent < due:
            self._next(self._idle.popleft())
        if self._sent < len(self.requests):
            asyncio.get_running_loop().call_later(_TICK, self._pump)

    def _next(self, client: _Connection) -> None:
        if self._sent < len(self.requests):
            number, self._sent = self._sent, self._sent + 1
            client.send(number, self.requests[number])


class _Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request under way."""

    transport: asyncio.Transport

    def __init__(self, load: _Load) -> None:
        self.sent = 0.0
        self._load = load
        self._number = 0
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own, which is no subclass

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        self._load.lost()

    def send(self, number: int, request: bytes) -> None:
        """Send a request."""
        self._number, self.sent = number, time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        head = data.find(b"\r\n\r\n") + 4
        if head < 4:
            self._buffer = data
            return
        at = data[:head].lower().find(b"content-length:")
        length = int(data[at + 15 : data.index(b"\r", at)]) if at >= 0 else 0
        if len(data) < head + length:
            self._buffer = data
            return
        self._buffer = b""
        self._load.answer(self, self._number, data[9:12], data[head:], time.perf_counter() - self.sent)
