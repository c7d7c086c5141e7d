"""A peer: the same API with a redis-py pool and one arq job per registration, as arq's documentation shows it.

The request checks the same token and decodes the same body; then it enqueues, and answers. It keeps no state, finds no
owner and counts no cap: it does less than a registration must.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from arq import create_pool
from litestar import Litestar, post
from litestar.exceptions import HTTPException

from service.api import native
from service.api.access_log import access_log
from service.api.auth import App, Authenticator
from service.api.errors import on_any_error, on_bindery_error, on_http_error
from service.api.headers import header
from service.api.native.bodies import NativeRequest, RegistrationBody, read_body
from service.domain.errors import BinderyError, Unauthenticated
from service.domain.limits import BODY_BYTES
from service.logs import configure
from service.settings import load
from service.usecases.views import RegistrationView
from tests.benchmarks.peers.hello import view
from tests.benchmarks.peers.plain_worker import QUEUE, encode, redis_settings

_decoder = msgspec.json.Decoder(RegistrationBody)


@post("/v1/registrations", status_code=202)
async def enqueue(request: NativeRequest) -> RegistrationView:
    """Enqueue a registration."""
    authenticator: Authenticator = request.app.state.authenticator
    caller = authenticator.caller(header(request.scope, b"authorization"))
    if not isinstance(caller, App):
        raise Unauthenticated
    body = await read_body(request, _decoder)
    pool: Any = request.app.state.pool
    await pool.enqueue_job("register", caller.identity, body.binding_type.value, body.address, body.device_id)
    return view(body)


def create_app() -> Litestar:
    """The application, with the settings of `service.app`."""
    settings = load(os.environ)
    configure(settings)

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        app.state.authenticator = Authenticator(settings)
        app.state.pool = await create_pool(
            redis_settings(settings.redis_url), job_serializer=encode, default_queue_name=QUEUE
        )
        try:
            yield
        finally:
            await app.state.pool.aclose()

    return Litestar(
        route_handlers=[enqueue, native.health.livez],
        lifespan=[lifespan],
        middleware=[access_log],
        exception_handlers={BinderyError: on_bindery_error, HTTPException: on_http_error, Exception: on_any_error},
        openapi_config=native.openapi.config(),
        request_max_body_size=BODY_BYTES,
        logging_config=None,
    )
