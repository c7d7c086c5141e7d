"""What the caller of a native route may do, and in which Service."""

from __future__ import annotations

from service.api.auth import App, Caller, check_scope
from service.api.native.bodies import NativeRequest
from service.domain.errors import Forbidden
from service.usecases.service import Directory, Service


def caller_of(request: NativeRequest) -> Caller:
    """Who the guard has found the caller to be."""
    caller: Caller = request.scope["state"]["caller"]
    return caller


def service_of(request: NativeRequest, name: str | None) -> Service:
    """The Service that a request is about, named in its body or its query.

    Raises:
        NotFound: there is no such Service.
        Unauthenticated: the caller's token is for another one.
    """
    directory: Directory = request.app.state.directory
    service = directory.named(name)
    caller = caller_of(request)
    if isinstance(caller, App):
        check_scope(caller, service)
    return service


def server_only(request: NativeRequest) -> None:
    """Refuse apps.

    Raises:
        Forbidden: the caller is an app.
    """
    if isinstance(caller_of(request), App):
        raise Forbidden("This route is for servers")


def traceparent_of(request: NativeRequest) -> str | None:
    """The trace that this request belongs to."""
    traceparent: str | None = request.scope["state"].get("traceparent")
    return traceparent
