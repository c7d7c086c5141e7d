"""Who calls a native route, what they may do, and in which Service."""

from __future__ import annotations

from service.api.app_tokens import App
from service.api.auth import Authenticator, Caller, check_scope
from service.api.headers import header
from service.api.native.bodies import NativeRequest
from service.api.native.query import check_names, query_of
from service.domain.errors import Forbidden, InvalidInput
from service.usecases.service import Directory, Service


def caller_of(request: NativeRequest) -> Caller:
    """The caller: what every handler asks first, before it reads anything else of the request.

    A guard would say it once for all routes, but for each guard the framework copies its handler on every request.

    Raises:
        Unauthenticated: no credentials, or credentials that do not hold.
    """
    state = request.scope["state"]
    caller: Caller | None = state.get("caller")
    if caller is None:
        authenticator: Authenticator = request.app.state.authenticator
        caller = state["caller"] = authenticator.caller(header(request.scope, b"authorization"))
    return caller


def server_only(request: NativeRequest) -> None:
    """Refuse apps.

    Raises:
        Unauthenticated
        Forbidden: the caller is an app.
    """
    if isinstance(caller_of(request), App):
        raise Forbidden("This route is for servers")


def service_of(request: NativeRequest, named: str | None = None, *, parameters: tuple[str, ...] = ()) -> Service:
    """The Service that a request is about: the one ``named`` in its body, else the one in its query.

    ``parameters`` are those that the query may have besides.

    Raises:
        InvalidInput: the query cannot be read, has what it should not, or names another Service than the body.
        NotFound: there is no such Service.
        Unauthenticated: the caller's token is for another one.
    """
    directory: Directory = request.app.state.directory
    check_names(request, ("service", *parameters))
    asked = query_of(request, "service")
    service = directory.named(named or asked)
    if asked is not None and directory.named(asked) is not service:
        raise InvalidInput("service", "is another one in the query than in the body")
    caller = caller_of(request)
    if isinstance(caller, App):
        check_scope(caller, service)
    return service
