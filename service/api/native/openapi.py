"""The OpenAPI 3.1 document of the native routes, and its page, whose scripts and styles we serve ourselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from litestar import Response
from litestar.handlers import BaseRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, SwaggerRenderPlugin
from litestar.openapi.spec import (
    Components,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Parameter,
    RequestBody,
    Schema,
    Server,
)
from litestar.openapi.spec.enums import OpenAPIFormat
from litestar.openapi.spec.security_scheme import SecurityScheme
from litestar.router import Router
from litestar.static_files import create_static_files_router

from service import __version__
from service.api.auth import AnyConnection
from service.api.errors import Problem
from service.domain import limits
from service.domain.errors import NotFound

AnyResponse = Response[Any]

SERVICE_QUERY = Parameter(
    name="service",
    param_in="query",
    schema=Schema(type=OpenAPIType.STRING),
    description="A Service's SID or name; the first by default",
)
DEVICE_QUERY = Parameter(
    name="device_id",
    param_in="query",
    schema=Schema(type=OpenAPIType.STRING, min_length=1, max_length=limits.DEVICE_ID_LENGTH),
    required=True,
)
SEEN_QUERY = Parameter(
    name="unless_seen_since",
    param_in="query",
    schema=Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.DATE_TIME),
    description="Do nothing if the device has registered at that time or later, or may have: it is kept to the hour",
)
IDENTITY_PATH = Parameter(
    name="identity",
    param_in="path",
    schema=Schema(type=OpenAPIType.STRING, min_length=1, max_length=limits.IDENTITY_LENGTH),
    required=True,
    description="An identity, percent-encoded; slashes in it as %2F",
)

_FAULTS = {
    400: "The request is not valid",
    401: "No credentials, or credentials that do not hold",
    403: "This caller may not do that",
    404: "There is no such thing, or none that this caller may see",
    408: "The body took too long to arrive",
    409: "The session has been logged out, or the identity has reached its limit of registrations",
    412: "The device has registered again since the time given, or may have",
    413: "The body is too large",
    415: "The body is not JSON",
    429: "Too many requests; try again later",
    503: "The store is not available, or full; try again later",
}
_ALWAYS, _WITH_BODY = (400, 401, 403, 429, 503), (408, 413, 415)


def described(
    body: type[msgspec.Struct] | None = None, *, parameters: Sequence[Parameter] = (), faults: Sequence[int] = ()
) -> type[Operation]:
    """An operation that documents what its handler reads itself (strictly, which the framework does not).

    ``parameters`` are those outside the body, ``faults`` the statuses of problems beside those of every route.
    """
    statuses = {*_ALWAYS, *faults, *(_WITH_BODY if body else ())}
    problems = {str(status): _problem(_FAULTS[status]) for status in sorted(statuses)}
    content = {"application/json": OpenAPIMediaType(schema=_schema_of(body))} if body else None

    @dataclass
    class Described(Operation):
        def __post_init__(self) -> None:
            if content:
                self.request_body = RequestBody(content=content, required=True)
            # Those of the path the framework has found as well, and knows less of them.
            named = {p.name for p in parameters}
            found = [p for p in self.parameters or () if isinstance(p, Parameter) and p.name not in named]
            self.parameters = [*found, *parameters]
            self.responses = {**(self.responses or {}), **problems}

    return Described


def _problem(description: str) -> OpenAPIResponse:
    content = {"application/problem+json": OpenAPIMediaType(schema=_schema_of(Problem))}
    return OpenAPIResponse(description=description, content=content)


def _schema_of(kind: type[msgspec.Struct]) -> Schema:
    [reference], definitions = msgspec.json.schema_components([kind], ref_template="{name}")
    return _Verbatim(_whole(reference, definitions))


def _whole(schema: Any, definitions: dict[str, Any]) -> Any:
    """A schema with every reference replaced by what it refers to."""
    if isinstance(schema, list):
        return [_whole(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _whole(definitions[schema["$ref"]], definitions)
    return {key: _whole(part, definitions) for key, part in schema.items()}


class _Verbatim(Schema):
    """A JSON schema as msgspec wrote it."""

    def __init__(self, schema: dict[str, Any]) -> None:
        super().__init__()
        self._verbatim = schema

    def to_schema(self) -> dict[str, Any]:
        return self._verbatim


def config(public_url: str | None = None) -> OpenAPIConfig:
    """The OpenAPI settings: the document at ``/schema/openapi.json``, its page at ``/schema``.

    Both name what lies at the path of ``public_url``, whatever the host that a browser has found them at.
    """
    path = urlsplit(public_url or "").path
    base = f"{path}/schema/assets"
    return OpenAPIConfig(
        title="Bindery",
        version=__version__,
        openapi_router=Router("/schema", route_handlers=[], include_in_schema=False, after_request=_in_our_form),
        servers=[Server(url=path or "/")],
        description="Device registrations: which push addresses belong to which identity.",
        components=Components(
            security_schemes={
                "app": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT"),
                "server": SecurityScheme(type="http", scheme="basic"),
            },
        ),
        security=[{"app": []}, {"server": []}],
        render_plugins=[
            SwaggerRenderPlugin(
                path=["/", "/swagger"],
                js_url=f"{base}/swagger-ui-bundle.js",
                css_url=f"{base}/swagger-ui.css",
                standalone_preset_js_url=f"{base}/swagger-ui-standalone-preset.js",
                favicon=f"<link rel='icon' href='{base}/favicon-32x32.png'>",
            ),
            JsonRenderPlugin(path="/openapi.json"),
        ],
    )


def _in_our_form(response: AnyResponse) -> AnyResponse:
    """The framework answers paths beneath the page's with a page of its own: errors of native routes are problems.

    Raises:
        NotFound
    """
    if response.status_code == NotFound.status:
        raise NotFound
    return response


def assets() -> Router:
    """Serves what the page loads, from an installed package, and nothing else: other names do not reach the disk."""
    folder = Path(str(files("swagger_ui") / "static"))
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}

    def known(connection: AnyConnection, _: BaseRouteHandler) -> None:
        if str(connection.path_params["file_path"]).lstrip("/") not in names:
            raise NotFound

    return create_static_files_router(
        path="/schema/assets", directories=[folder], include_in_schema=False, guards=[known]
    )
