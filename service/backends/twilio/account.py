"""One account at an upstream, over HTTP: kept connections, and each request sent with manners or not at all."""

from __future__ import annotations

import asyncio
import math
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, NamedTuple, TypeAlias

import aiohttp
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from yarl import URL

from service.backends.twilio.admission import Admission
from service.backends.twilio.errors import (
    AccountRefused,
    CutShort,
    NotDone,
    NotItsTurn,
    NotTheApi,
    OutcomeUnknown,
    Refused,
    Throttled,
    Unreachable,
    UpstreamError,
    of_answer,
)
from service.domain.services import Upstream
from service.telemetry import traces
from service.telemetry.upstreams import observe_call

Operation: TypeAlias = Literal["create", "delete", "fetch", "list"]

LONGEST_ANSWER = 16 * 1024 * 1024
"""Bytes: well above the longest page of bindings."""

# Below what servers keep (uvicorn and node 5 s): a request that meets the end of its connection has an unknown outcome.
_IDLE_SECONDS = 4.0
_SHORTEST_READ = 1.0
_FAIR = 0.5
"""The part of its time that an upstream must have had for no answer to be a fault of its own."""
_CHUNK = 256 * 1024


class Attempt:
    """What a caller allows one request; afterwards, also of a cancelled one, whether it was sent."""

    __slots__ = ("deadline", "narrowing", "sent")

    def __init__(self, deadline: float | None = None, *, narrowing: bool = False) -> None:
        self.deadline = deadline
        """On the monotonic clock: when what the caller decided by is no longer its to act on. None: never.

        What changes something must be over by then, if it is to begin at all; what only reads is cut short.
        """
        self.narrowing = narrowing
        """Whether a firewall may refuse it for what it says: another request tells whether it refuses all."""
        self.sent = False
        """Whether bytes of the request may have left."""

    def check(self, seconds: float) -> None:
        """Refuse to begin what may take so many seconds.

        Raises:
            NotItsTurn: the deadline comes before its end.
        """
        if self.deadline is not None and time.monotonic() + seconds > self.deadline:
            raise NotItsTurn("not enough time was left to send it")


class _Request(NamedTuple):
    attempt: Attempt
    needs: float
    """Seconds that must be left for it to begin."""
    allowed: float
    """Seconds that it may take."""


_under_way: ContextVar[_Request] = ContextVar("upstream_request")


class _LastLook(ClientRequest):
    """A request that is sent only if there still is time once its connection is in hand.

    A process may have been stopped for any time while it waited for that.
    """

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        request = _under_way.get()
        request.attempt.check(request.needs)
        _bound_delivery(conn, request.allowed)
        request.attempt.sent = True
        return await super().send(conn)


def _bound_delivery(conn: Connection, seconds: float) -> None:
    """Let the system, too, give up on bytes that are not taken in time."""
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    taken = conn.transport.get_extra_info("socket") if conn.transport is not None else None
    if option is not None and taken is not None:
        taken.setsockopt(socket.IPPROTO_TCP, option, int(1000 * seconds))


async def _never_again(request: ClientRequest, handler: Any) -> aiohttp.ClientResponse:
    """Keep aiohttp from repeating a request by itself where a kept connection turns out to be dead."""
    try:
        response: aiohttp.ClientResponse = await handler(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise OutcomeUnknown(f"the connection broke ({type(error).__name__})") from None
    return response


class Account:
    """Sends requests. Every one is admitted first, bounded in time, and ends with an answer or an ``UpstreamError``."""

    def __init__(self, upstream: Upstream, admission: Admission) -> None:
        self.upstream = upstream
        self.admission = admission
        self._host = upstream.host
        self._seats = asyncio.Semaphore(upstream.connections)
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self,
        method: str,
        path: str,
        *,
        operation: Operation,
        body: str | None = None,
        attempt: Attempt | None = None,
        hidden: Iterable[str] = (),
    ) -> bytes:
        """The body of a successful answer; ``path`` is that after the base URL, query included, as it is sent.

        ``operation`` is what it is called in metrics and traces.

        Raises:
            NotDone, Refused, OutcomeUnknown: as they say. ``hidden`` values are not quoted by them.
        """
        attempt = attempt or Attempt()
        needs = self.upstream.timeout if method != "GET" else min(_SHORTEST_READ, self.upstream.timeout)
        async with self._seats:
            last = None if attempt.deadline is None else attempt.deadline - needs
            turn = await self.admission.admit(last)
            # Cancelled, it tells nothing: the caller has given up, not the upstream failed.
            try:
                with self._observed(operation, method):
                    answer = await self._exchange(method, path, body, attempt, needs, hidden)
            except UpstreamError as error:
                await self._report(turn, error, attempt)
                raise
            await self.admission.done(turn, good=True)
            return answer

    @contextmanager
    def _observed(self, operation: Operation, method: str) -> Iterator[None]:
        host, began, outcome = self._host, time.perf_counter(), "broken-off"
        told = {"server.address": host, "http.request.method": method}
        try:
            with traces.call(f"upstream {operation}", told):
                yield
            outcome = "done"
        except UpstreamError as error:
            missing = isinstance(error, Refused) and error.missing
            outcome = "not-found" if missing else error.word
            raise
        finally:
            observe_call(host, operation, outcome, time.perf_counter() - began)

    async def _report(self, turn: bool, error: UpstreamError, attempt: Attempt) -> None:
        match error:
            case Throttled() | AccountRefused():
                await self.admission.hold(error.retry_after)
                await self.admission.done(turn, good=True)
            case CutShort():
                pass
            case NotTheApi() if attempt.narrowing and not turn:
                pass
            case Unreachable() | OutcomeUnknown():
                await self.admission.done(turn, good=False)
            case NotDone() if not attempt.sent:
                pass  # nothing has been tried: a probe that was not sent says nothing of the upstream
            case _:
                await self.admission.done(turn, good=True)

    async def _exchange(
        self, method: str, path: str, body: str | None, attempt: Attempt, needs: float, hidden: Iterable[str]
    ) -> bytes:
        attempt.sent = False
        attempt.check(needs)
        session = self._session = self._session or self._connect()
        left = math.inf if attempt.deadline is None else attempt.deadline - time.monotonic()
        allowed = min(self.upstream.timeout, left)
        _under_way.set(_Request(attempt, needs, allowed))
        headers = traces.outgoing()
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        url = URL(self.upstream.url + path, encoded=True)
        try:
            async with session.request(
                method,
                url,
                data=body.encode() if body is not None else None,
                headers=headers,
                allow_redirects=False,
                timeout=self._timeout(allowed),
            ) as response:
                answer = await _read(response)
                if response.status < 300:
                    if method == "DELETE" and response.status != 204:
                        raise NotTheApi(f"{response.status} in place of 204")
                    return answer
                raise of_answer(response.status, answer, response.headers.get("Retry-After"), hidden)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            # From None, and by its class alone: its text quotes the URL.
            if isinstance(error, TimeoutError) and attempt.sent and allowed < _FAIR * self.upstream.timeout:
                raise CutShort("its caller had no time to wait for the answer") from None
            raise _unanswered(attempt, error) from None

    def _timeout(self, seconds: float) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(total=seconds, sock_connect=self.upstream.connect_timeout, ceil_threshold=3600)

    def _connect(self) -> aiohttp.ClientSession:
        upstream = self.upstream
        return aiohttp.ClientSession(
            headers={
                "Authorization": aiohttp.encode_basic_auth(upstream.user, upstream.secret),
                "Accept": "application/json",
                "User-Agent": "bindery",
            },
            connector=aiohttp.TCPConnector(limit=upstream.connections, keepalive_timeout=_IDLE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            request_class=_LastLook,
            middlewares=(_never_again,),
            trust_env=False,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


async def _read(response: aiohttp.ClientResponse) -> bytes:
    chunks, size = [], 0
    async for chunk in response.content.iter_chunked(_CHUNK):
        chunks.append(chunk)
        size += len(chunk)
        if size > LONGEST_ANSWER:
            response.close()
            raise OutcomeUnknown("the answer is too long")
    return b"".join(chunks)


def _unanswered(attempt: Attempt, error: Exception) -> UpstreamError:
    kind = "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
    if attempt.sent:
        return OutcomeUnknown(f"the answer did not come ({kind})")
    return Unreachable(f"no connection ({kind})")
