"""Whether the process lives, whether it can serve, and which version it is."""

from __future__ import annotations

import msgspec
from litestar import Response, get
from litestar.openapi import ResponseSpec

from service import __version__, lifecycle
from service.api.native.bodies import NativeRequest
from service.bootstrap import Runtime
from service.domain.errors import StoreUnavailable
from service.readiness import API_NEEDS, Liveness, Readiness, readiness

OPEN: list[dict[str, list[str]]] = [{}]
"""What a route asks for that anyone may call (OpenAPI 3.1, Operation Object): not what all others ask for."""


class Version(msgspec.Struct, frozen=True):
    """What is running."""

    version: str


@get("/livez", status_code=200, security=OPEN)
async def livez() -> Liveness:
    """Alive: the event loop turns."""
    return Liveness()


@get(
    "/readyz",
    responses={503: ResponseSpec(Readiness, description="Not ready", generate_examples=False)},
    security=OPEN,
)
async def readyz(request: NativeRequest) -> Response[Readiness]:
    """Ready to serve: the store answers, and is ours; 503 if not. It names what is away, the job queue, too."""
    runtime: Runtime = request.app.state.runtime
    found = await readiness(runtime, lifecycle.process.said, API_NEEDS)
    if found.ready:
        return Response(found)
    headers = {"Retry-After": str(StoreUnavailable.retry_after)}
    return Response(found, status_code=503, headers=headers)


@get("/version", security=OPEN)
async def version() -> Version:
    """The version that is running."""
    return Version(__version__)
