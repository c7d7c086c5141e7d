"""A server's one connection, kept alive: commands leave once per event-loop tick, or sooner if they are many."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

from service.redis.call import Call, Reply
from service.redis.dial import explain
from service.redis.errors import NotSent, Overloaded, Refused, ReplyError, Rerouted, Unavailable
from service.redis.link import Link
from service.telemetry.catalogue import REDIS_CONNECTIONS

#: Seconds between two looks for overdue calls; also the most by which a call overstays its deadline.
TICK: Final = 0.05
#: So many commands leave without waiting for the tick's end: the server is at them while we are at the rest.
_MANY: Final = 16
_FIRST_BACKOFF: Final = 0.02
_LAST_BACKOFF: Final = 0.5
#: A connection that lived shorter than this, in seconds, doesn't reset the backoff.
_SETTLED: Final = 1.0
#: The part of the patience that replicas have to confirm a batch, which keeps all others waiting.
_CONSENT: Final = 1 / 3


def _nothing() -> None:
    """The default for `on_down`."""


class Channel:
    """Sends commands to whatever server `dial` connects to.

    `patience` is how long, in seconds, a reply may be overdue before the connection is given up. `limit`
    bounds the commands queued and in flight together. `on_down` is called whenever a connection, or an attempt
    at one, fails. With `replicas`, that many must confirm a reply before it is given, reads included.
    """

    def __init__(
        self,
        dial: Callable[[], Awaitable[Link]],
        *,
        patience: float,
        limit: int = 10_000,
        on_down: Callable[[], None] = _nothing,
        replicas: int = 0,
    ) -> None:
        self._replicas = replicas
        self._dial = dial
        self._patience = patience
        self._limit = limit
        self._on_down = on_down
        self._unsent: list[Call] = []
        self._link: Link | None = None
        self._draining: set[Link] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._flushing = False
        self._timer: asyncio.TimerHandle | None = None
        self._sweep_due = 0.0
        self._connecting: asyncio.Task[None] | None = None
        self._connected_at = 0.0
        self._failures = 0
        self._reason = "no connection to Redis yet"
        self._closed: type[NotSent] | None = None

    def send(
        self, packed: bytes, deadline: float, key: bytes | None = None, *, asking: bool = False
    ) -> asyncio.Future[Reply]:
        """Queues a packed command; it leaves at the end of this tick, or as soon as there is a connection.

        The future fails with NotSent, OutcomeUnknown or ReplyError. Raises Overloaded, and after aclose()
        NotSent, after retire() Rerouted.
        """
        if self._closed is not None:
            raise self._closed("the Redis client is closed")
        link = self._link
        unsent = len(self._unsent)
        if unsent + (len(link.inflight) if link is not None else 0) >= self._limit:
            raise Overloaded("too many commands are waiting for Redis")
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply] = loop.create_future()
        self._unsent.append(Call(future, packed, deadline, asking, key))
        if unsent + 1 >= _MANY:
            self._write()
        elif not self._flushing:
            self._flushing = True
            loop.call_soon(self._flush)
        return future

    @property
    def idle(self) -> bool:
        """Whether nothing is queued or in flight, on the present connection or on a former one."""
        return not self._unsent and not self._draining and (self._link is None or not self._link.inflight)

    def _flush(self) -> None:
        self._flushing = False
        self._write()

    def _write(self) -> None:
        if not self._unsent:
            return
        if self._timer is None:
            self._wind_timer()
        link = self._link
        if link is None:
            self._connect()
        elif link.writable:
            calls, self._unsent = self._unsent, []
            link.write(calls)

    # -- deadlines: one timer for all calls, running only while there are any

    def _wind_timer(self, delay: float = TICK) -> None:
        self._sweep_due = time.monotonic() + delay
        self._timer = asyncio.get_running_loop().call_later(delay, self._sweep)

    def _sweep(self) -> None:
        now = time.monotonic()
        self._timer = None
        if now > self._sweep_due + 4 * TICK:
            # This process itself was held up. Replies may lie unread in the socket: read them before judging.
            self._wind_timer(0.001)
            return
        for call in self._unsent:
            if call.deadline <= now and not call.future.done():
                call.future.set_exception(NotSent(self._reason))
        self._unsent = [call for call in self._unsent if not call.future.done()]
        for link in self._links():
            link.expire(now, self._patience)
        if not self.idle:
            self._wind_timer()

    def _links(self) -> list[Link]:
        return [*self._draining, self._link] if self._link is not None else list(self._draining)

    # -- the connection

    def _connect(self) -> None:
        if self._closed is None and (self._connecting is None or self._connecting.done()):
            self._connecting = asyncio.get_running_loop().create_task(self._reconnect(), name="redis-connect")

    async def _reconnect(self) -> None:
        while True:
            if self._failures:
                backoff = min(_LAST_BACKOFF, _FIRST_BACKOFF * 2 ** min(self._failures - 1, 10))
                jitter = random.uniform(0.75, 1.25)  # noqa: S311 - not a secret
                await asyncio.sleep(backoff * jitter)
            self._failures += 1
            try:
                link = await self._dial()
            except (OSError, Unavailable, ReplyError) as error:
                self._fail_attempt(error)
                continue
            if link.closed.is_set():
                continue
            self._adopt(link)
            return

    def _fail_attempt(self, error: Exception) -> None:
        REDIS_CONNECTIONS.labels("failed").inc()
        if isinstance(error, Refused):
            # No wait can mend this: say so at once, though later attempts may fare better.
            self._reason = str(error)
            self._fail_unsent(Refused)
        else:
            self._reason = explain(error)
        self._on_down()

    def _fail_unsent(self, kind: type[NotSent]) -> None:
        calls, self._unsent = self._unsent, []
        for call in calls:
            if not call.future.done():
                call.future.set_exception(kind(self._reason))

    def _adopt(self, link: Link) -> None:
        self._link = link
        self._connected_at = time.monotonic()
        REDIS_CONNECTIONS.labels("opened").inc()
        self._reason = "Redis takes no more data"
        link.on_writable = self._resume
        link.on_demoted = self._replace
        link.on_lost = self._lost
        if self._replicas:
            link.confirm(self._replicas, self._patience * _CONSENT)
        self._flush()

    def _resume(self, link: Link) -> None:
        if link is self._link:
            self._flush()

    def _replace(self, link: Link) -> None:
        """Looks for the primary anew. Replies still under way on the old connection are waited for."""
        if link is self._link:
            self._link = None
            self._draining.add(link)
            self._down("the Redis server is not a primary")
            link.retire()

    def _lost(self, link: Link) -> None:
        self._draining.discard(link)
        if link is self._link:
            self._link = None
            self._down(link.reason)

    def _down(self, reason: str) -> None:
        self._reason = reason
        if time.monotonic() - self._connected_at > _SETTLED:
            self._failures = 0
        if self._closed is None:
            REDIS_CONNECTIONS.labels("lost").inc()
            self._on_down()
            self._connect()

    # -- the end

    def retire(self) -> None:
        """Sends nothing more. Fails what is queued with Rerouted; replies under way still come in."""
        self._closed = Rerouted
        self._reason = "the server left the cluster"
        self._fail_unsent(Rerouted)
        if self._connecting is not None:
            self._connecting.cancel()
        if self._link is not None:
            link, self._link = self._link, None
            self._draining.add(link)
            link.retire()

    async def aclose(self) -> None:
        """Fails everything pending and closes the connection. Returns when it is closed."""
        self._closed = NotSent
        self._reason = "the Redis client was closed"
        self._fail_unsent(NotSent)
        if self._timer is not None:
            self._timer.cancel()
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting], timeout=1)
        links = self._links()
        for link in links:
            link.abort(self._reason)
        for link in links:
            async with asyncio.timeout(1):
                await link.closed.wait()
