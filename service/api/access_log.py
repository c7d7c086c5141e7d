"""One line per request, its place in the metrics, and the ids that tie it to the jobs it causes.

The line holds the route's template, never the path, the query or a header: those may hold identities and device ids.
"""

from __future__ import annotations

import random
import re
import time

from litestar import Request
from litestar.datastructures import State
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from service.api.headers import asked
from service.logs import Line, info
from service.telemetry.requests import observe_request

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class _Answered(Line, kw_only=True, tag_field="event", tag="request"):
    """The line. ``ms`` is from the request's head to the answer's end."""

    method: str
    route: str
    status: int
    ms: float
    request_id: str
    trace_id: str


def traceparent_of(request: Request[object, object, State]) -> str | None:
    """The trace that a request belongs to."""
    traceparent: str | None = request.scope["state"].get("traceparent")
    return traceparent


def access_log(app: ASGIApp) -> ASGIApp:
    """Middleware: takes or makes ``X-Request-ID`` and ``traceparent`` (W3C Trace Context), and logs each answer."""

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id, traceparent = _ids(scope["headers"])
        state = scope.setdefault("state", {})
        state["request_id"], state["traceparent"] = request_id, traceparent
        status = 0

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await app(scope, receive, note)
        finally:
            seconds = time.perf_counter() - started
            method, route = asked(scope), scope.get("path_template") or "-"
            observe_request(method, route, status, seconds)
            info(
                _Answered(
                    method=method,
                    route=route,
                    status=status,
                    ms=round(seconds * 1000, 2),
                    request_id=request_id,
                    trace_id=traceparent[3:35],
                )
            )

    return middleware


def log_unrouted(scope: HTTPScope, status: int) -> str:
    """The line of a request that no route was found for: no middleware sees it. Answers its id."""
    request_id, traceparent = _ids(scope["headers"])
    method = asked(scope)
    observe_request(method, "-", status, 0.0)
    trace_id = traceparent[3:35]
    info(_Answered(method=method, route="-", status=status, ms=0.0, request_id=request_id, trace_id=trace_id))
    return request_id


def _ids(headers: object) -> tuple[str, str]:
    request_id = traceparent = None
    for name, value in headers:  # type: ignore[attr-defined]  # the ASGI type is a Union of iterables
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            request_id = value.decode()
        elif name == b"traceparent" and _TRACEPARENT.fullmatch(value):
            traceparent = value.decode()
    if request_id is not None and traceparent is not None:
        return request_id, traceparent
    # Ids need to be different, not secret: no call to the system for them.
    drawn = f"{random.getrandbits(288):072x}"
    return request_id or drawn[:24], traceparent or f"00-{drawn[24:56]}-{drawn[56:]}-01"
