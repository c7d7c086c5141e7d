"""The one place where what went wrong becomes an answer.

Native routes answer RFC 9457 problems; every other path the vendor's ``{code, message, more_info, status}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import msgspec
import structlog
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from service.api.access_log import log_unrouted
from service.api.compatible.errors import error_body, status_of
from service.domain.errors import (
    BinderyError,
    BodyTooLarge,
    InvalidInput,
    MethodNotAllowed,
    NotFound,
    RequestTimeout,
    TooManyConnections,
    Unauthenticated,
    UnsupportedMediaType,
)

AnyRequest = Request[object, object, State]

NATIVE = (
    "/v1/registrations",
    "/v1/logouts",
    "/v1/identities",
    "/v1/lookups",
    "/livez",
    "/readyz",
    "/version",
    "/schema",
)

_FIRST_SERVER_ERROR = 500

_log = structlog.get_logger(__name__)
_BY_STATUS: dict[int, type[BinderyError]] = {
    404: NotFound,
    405: MethodNotAllowed,
    413: BodyTooLarge,
    415: UnsupportedMediaType,
}


class Problem(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A problem (RFC 9457). ``type`` names the kind of problem for good; ``field`` what of the input it is about."""

    type: str
    title: str
    status: int
    detail: str
    field: str | None = None


def problem(error: BinderyError) -> Problem:
    """The problem that an error is answered with on native routes."""
    return Problem(
        type=f"urn:bindery:problem:{error.slug}",
        title=error.title,
        status=error.status,
        detail=error.detail,
        field=(error.field or None) if isinstance(error, InvalidInput) else None,
    )


def is_native(path: str) -> bool:
    """Whether a path is one of ours, or lies beneath one."""
    return any(path == prefix or path.startswith(prefix + "/") for prefix in NATIVE)


def answer(request: AnyRequest, error: BinderyError) -> Response[bytes]:
    """The response for an error, in the form of the route that was asked."""
    status, headers, body = _form(request.scope, error)
    media_type = headers.pop("Content-Type")
    return Response(body, status_code=status, headers=headers, media_type=media_type)


def turned_away(error: BinderyError) -> ASGIApp:
    """An application that gives everybody this error as the answer, in the form of the route that was asked."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001  # ASGI's signature
        status, headers, body = _form(cast(HTTPScope, scope), error)
        headers["Content-Length"] = str(len(body))
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    return application


def _form(scope: HTTPScope, error: BinderyError) -> tuple[int, dict[str, str], bytes]:
    headers: dict[str, str] = {}
    if error.retry_after is not None or error.status >= _FIRST_SERVER_ERROR:
        headers["Retry-After"] = str(error.retry_after or 1)
    path = scope["path"]
    native = is_native(path)
    if isinstance(error, MethodNotAllowed) and error.allow:
        # Whatever has a GET has a HEAD: that is seen to where a request is read.
        more = "" if "GET" not in error.allow or "HEAD" in error.allow else ", HEAD"
        headers["Allow"] = error.allow + more
    if isinstance(error, RequestTimeout | TooManyConnections):
        # The rest of the body would be taken for the next request; and one connection less is what is wanted.
        headers["Connection"] = "close"
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer, Basic realm="bindery"' if native else 'Basic realm="bindery"'
    if native:
        body, status = msgspec.json.encode(problem(error)), error.status
        headers["Content-Type"] = "application/problem+json"
    else:
        body, status = msgspec.json.encode(error_body(error, path)), status_of(error)
        headers["Content-Type"] = "application/json; charset=utf-8"
    if not _routed(scope):
        headers["X-Request-ID"] = log_unrouted(scope, status)
    return status, headers, body


def _routed(scope: Mapping[str, object]) -> bool:
    return "path_template" in scope


def on_bindery_error(request: AnyRequest, error: BinderyError) -> Response[bytes]:
    """An error of our own tree."""
    return answer(request, error)


def on_http_error(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    """An error that the framework found: its own words may quote the request, so they are replaced by ours."""
    kind = _BY_STATUS.get(error.status_code)
    if kind is not None:
        return answer(request, MethodNotAllowed(_allowed(error)) if kind is MethodNotAllowed else kind())
    if error.status_code < _FIRST_SERVER_ERROR:
        return answer(request, _invalid(error))
    return on_any_error(request, error)


def _allowed(error: HTTPException) -> str:
    return next((value for name, value in (error.headers or {}).items() if name.lower() == "allow"), "")


def _invalid(error: HTTPException) -> InvalidInput:
    extra = getattr(error, "extra", None)
    faults = [f for f in extra if isinstance(f, dict)] if isinstance(extra, list) else []
    key = str(faults[0].get("key", "")) if faults else ""
    return InvalidInput(key, "is missing or not valid" if key else "The request could not be read")


def on_any_error(request: AnyRequest, error: Exception) -> Response[bytes]:
    """What nobody foresaw: logged where it happened, without the values at hand; answered without detail."""
    _log.error("unhandled_error", error=type(error).__name__, exc_info=error)
    return answer(request, BinderyError())
