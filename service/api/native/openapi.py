"""The OpenAPI 3.1 document of the native routes, and its page, whose scripts and styles we serve ourselves."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, SwaggerRenderPlugin
from litestar.openapi.spec import Components, OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.security_scheme import SecurityScheme
from litestar.router import Router
from litestar.static_files import create_static_files_router

from service import __version__


def described(body: type[msgspec.Struct]) -> type[Operation]:
    """An operation that documents the body which its handler reads itself (strictly, which the framework does not)."""
    [reference], definitions = msgspec.json.schema_components([body], ref_template="{name}")
    schema = _Verbatim(_whole(reference, definitions))

    @dataclass
    class WithBody(Operation):
        def __post_init__(self) -> None:
            content = {"application/json": OpenAPIMediaType(schema=schema)}
            self.request_body = RequestBody(content=content, required=True)

    return WithBody


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


def config() -> OpenAPIConfig:
    """The OpenAPI settings: the document at ``/schema/openapi.json``, its page at ``/schema``."""
    return OpenAPIConfig(
        title="Bindery",
        version=__version__,
        path="/schema",
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
                js_url="/schema/assets/swagger-ui-bundle.js",
                css_url="/schema/assets/swagger-ui.css",
                standalone_preset_js_url="/schema/assets/swagger-ui-standalone-preset.js",
                favicon="<link rel='icon' href='/schema/assets/favicon-32x32.png'>",
            ),
            JsonRenderPlugin(path="/openapi.json"),
        ],
    )


def assets() -> Router:
    """Serves what the page loads, from an installed package."""
    folder = Path(str(files("swagger_ui") / "static"))
    return create_static_files_router(path="/schema/assets", directories=[folder], include_in_schema=False)
