"""A peer: the same registrations with a redis-py pool, and one arq job for each, as both libraries' guides show it.

The request checks the same token, decodes the same body and runs the same script, over redis-py's pool instead of one
auto-pipelined connection; then it enqueues a job and answers. The script settles at once, so that the job, which plain
arq runs beside, has only to look and to write one field: it all costs less than what a registration owes.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import msgspec
from arq import create_pool
from litestar import Litestar, post
from litestar.exceptions import HTTPException
from redis.asyncio import ConnectionPool, UnixDomainSocketConnection
from redis.asyncio import Redis as RedisPy
from redis.exceptions import NoScriptError

from service.api import native
from service.api.access_log import access_log
from service.api.app_tokens import App
from service.api.auth import Authenticator
from service.api.errors import on_any_error, on_bindery_error, on_http_error
from service.api.headers import header
from service.api.native.bodies import NativeRequest, RegistrationBody, read_body
from service.bootstrap import runtime
from service.domain.errors import BinderyError, Unauthenticated
from service.domain.limits import BODY_BYTES
from service.domain.record import Channel
from service.logs import configure
from service.redis import Redis, Script
from service.settings import load
from service.usecases.registering import Request, wanted
from service.usecases.service import Service
from service.usecases.views import RegistrationView, view
from tests.benchmarks.peers.plain_worker import PEER_QUEUE, encode, redis_settings

_decoder = msgspec.json.Decoder(RegistrationBody)


class Pooled:
    """Runs scripts over redis-py's pool of connections: each command has a connection to itself."""

    def __init__(self, url: str, timeout: float) -> None:
        self.timeout = timeout
        pool = ConnectionPool(connection_class=UnixDomainSocketConnection, path=url.removeprefix("unix://"))
        self._client: Any = RedisPy(connection_pool=pool)

    async def run(
        self,
        script: Script,
        key: bytes,
        args: Sequence[bytes],
        *,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109  # as `service.redis`; left to redis-py, like most do
    ) -> Any:
        """As `service.redis.Redis.run`."""
        try:
            return await self._client.evalsha(script.sha, 1, key, *args)
        except NoScriptError:
            return await self._client.eval(script.source, 1, key, *args)

    async def command(self, *words: bytes | str, key: bytes | None = None) -> Any:  # noqa: ARG002  # as `service.redis`
        """As `service.redis.Redis.command`."""
        return await self._client.execute_command(*words)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._client.aclose(close_connection_pool=True)


@post("/v1/registrations", status_code=202)
async def enqueue(request: NativeRequest) -> RegistrationView:
    """Register, and enqueue a job."""
    authenticator: Authenticator = request.app.state.authenticator
    caller = authenticator.caller(header(request.scope, b"authorization"))
    if not isinstance(caller, App):
        raise Unauthenticated
    body = await read_body(request, _decoder)
    service: Service = request.app.state.service
    asked = Request(
        identity=caller.identity,
        kind=body.binding_type,
        address=body.address,
        device_id=body.device_id,
        session=caller.session,
        issued_at=caller.issued_at,
    )
    done = await service.registrations.register(wanted(service, asked), at_once=Channel.NOTIFY)
    pool: Any = request.app.state.pool
    await pool.enqueue_job("register", caller.identity, body.binding_type.value, body.address, body.device_id)
    return view(service.sid, done.record, None)


def create_app() -> Litestar:
    """The application, with the settings of `service.app`."""
    settings = load(os.environ)
    configure(settings)

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        app.state.authenticator = Authenticator(settings)
        pooled = Pooled(settings.redis_url, settings.redis_timeout)
        app.state.pool = await create_pool(
            redis_settings(settings.redis_url), job_serializer=encode, default_queue_name=PEER_QUEUE
        )
        async with runtime(settings) as running:
            app.state.service = running.directory.default()
            app.state.service.section.redis = cast(Redis, pooled)
            try:
                yield
            finally:
                await app.state.pool.aclose()
                await pooled.aclose()

    return Litestar(
        route_handlers=[enqueue, native.health.livez],
        lifespan=[lifespan],
        middleware=[access_log],
        exception_handlers={BinderyError: on_bindery_error, HTTPException: on_http_error, Exception: on_any_error},
        openapi_config=native.openapi.config(),
        request_max_body_size=BODY_BYTES,
        logging_config=None,
    )
