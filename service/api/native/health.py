"""Whether the process lives, whether it can serve, and which version it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import msgspec
from litestar import Response, get
from litestar.openapi import ResponseSpec

from service import __version__
from service.api.native.bodies import NativeRequest
from service.bootstrap import Runtime
from service.domain.errors import BinderyError, StoreUnavailable
from service.redis import RedisError

_SECONDS = 1.5
"""For all checks together, however long a call to the store may take."""


class Readiness(msgspec.Struct, frozen=True):
    """Whether requests can be served; ``checks`` says of each dependency ``ok`` or what is the matter."""

    ready: bool
    checks: dict[str, str]


class Version(msgspec.Struct, frozen=True):
    """What is running."""

    version: str


@get("/livez", status_code=200)
async def livez() -> dict[str, str]:
    """Alive: the event loop turns."""
    return {"status": "ok"}


@get("/readyz", responses={503: ResponseSpec(Readiness, description="Not ready", generate_examples=False)})
async def readyz(request: NativeRequest) -> Response[Readiness]:
    """Ready to serve: the store and the job queue answer, and the store is ours. 503 if not, naming what is not."""
    runtime: Runtime = request.app.state.runtime
    asked = {"store": _store(runtime), "queue": _said(runtime.queue_store.ping())}
    checks = dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))
    if all(state == "ok" for state in checks.values()):
        return Response(Readiness(True, checks))
    headers = {"Retry-After": str(StoreUnavailable.retry_after)}
    return Response(Readiness(False, checks), status_code=503, headers=headers)


async def _store(runtime: Runtime) -> str:
    # Every Service's part of it, and whatever else of it answers for none of them.
    said = await asyncio.gather(_said(runtime.open_store()), _said(runtime.store.ping()))
    return next((state for state in said if state != "ok"), "ok")


async def _said(check: Awaitable[None]) -> str:
    try:
        async with asyncio.timeout(_SECONDS):
            await check
    except BinderyError as error:
        return error.detail
    except (RedisError, TimeoutError):
        return "unreachable"
    return "ok"


@get("/version")
async def version() -> Version:
    """The version that is running."""
    return Version(__version__)
