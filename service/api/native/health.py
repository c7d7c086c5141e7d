"""Whether the process lives, whether it can serve, and which version it is."""

from __future__ import annotations

import msgspec
from litestar import Response, get

from service import __version__
from service.api.native.bodies import NativeRequest
from service.bootstrap import Runtime
from service.domain.errors import BinderyError
from service.redis import Redis, RedisError


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


@get("/readyz")
async def readyz(request: NativeRequest) -> Response[Readiness]:
    """Ready to serve: the store and the job queue answer, and the store is ours. 503 if not, naming what is not."""
    runtime: Runtime = request.app.state.runtime
    checks = {"store": await _store(runtime), "queue": await _reached(runtime.queue_store)}
    ready = all(state == "ok" for state in checks.values())
    return Response(Readiness(ready, checks), status_code=200 if ready else 503)


async def _store(runtime: Runtime) -> str:
    try:
        await runtime.open_store()
    except BinderyError as error:
        return error.detail
    return await _reached(runtime.store)


async def _reached(redis: Redis) -> str:
    try:
        await redis.ping()
    except RedisError:
        return "unreachable"
    return "ok"


@get("/version")
async def version() -> Version:
    """The version that is running."""
    return Version(__version__)
