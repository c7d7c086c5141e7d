"""A span for each request, where BINDERY_TRACES asks for it."""

from __future__ import annotations

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from service.api.headers import asked
from service.telemetry import traces

_FIELDS = (b"traceparent", b"tracestate")


def traced(app: ASGIApp) -> ASGIApp:
    """Middleware. What follows finds the span in the request's ``traceparent``, as if the caller had sent it."""

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        method, route = asked(scope), scope["path_template"]
        came = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _FIELDS}
        attributes = {"http.request.method": method, "http.route": route}
        with traces.request(f"{method} {route}", came, attributes) as span:
            others = [(name, value) for name, value in scope["headers"] if name not in _FIELDS]
            scope["headers"] = [*others, *((n.encode(), v.encode()) for n, v in traces.outgoing().items())]

            async def note(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.note({"http.response.status_code": message["status"]})
                await send(message)

            await app(scope, receive, note)

    return middleware
