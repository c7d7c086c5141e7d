"""The ASGI application: what an API process serves."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import structlog
from litestar import Litestar
from litestar.exceptions import HTTPException

from service import lifecycle
from service.api.access_log import access_log
from service.api.auth import Authenticator
from service.api.compatible import routers
from service.api.errors import on_any_error, on_bindery_error, on_http_error
from service.api.native import handlers, openapi
from service.api.traced import traced
from service.bootstrap import Runtime, runtime
from service.domain.errors import BinderyError, StoreRefused
from service.domain.limits import BODY_BYTES
from service.logs import configure, on_loop_error
from service.readiness import API_NEEDS, Liveness, Readiness, readiness
from service.settings import Settings, load
from service.settings.loading import METRICS_FD
from service.standing import open_store
from service.telemetry import catalogue, traces
from service.telemetry.listener import Probe, listening
from service.usecases.waiting import WaitingRoom

_log = structlog.get_logger(__name__)


def create_app(settings: Settings | None = None) -> Litestar:
    """The application, from given settings or the environment.

    Raises:
        SettingsError: naming every fault of the environment.
    """
    if settings is None:
        settings = load(os.environ)
        configure(settings)
    return Litestar(
        route_handlers=[*handlers, *routers, openapi.assets()],
        lifespan=[_lifespan(settings)],
        middleware=[access_log] if settings.traces == "none" else [traced, access_log],
        exception_handlers={
            BinderyError: on_bindery_error,
            HTTPException: on_http_error,
            Exception: on_any_error,
        },
        openapi_config=openapi.config(settings.public_url),
        request_max_body_size=BODY_BYTES,
        logging_config=None,
    )


def _lifespan(settings: Settings) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        asyncio.get_running_loop().set_exception_handler(on_loop_error)
        async with runtime(settings) as running, traces.tracing(settings.traces, "api"):
            app.state.settings = settings
            app.state.runtime = running
            app.state.directory = running.directory
            app.state.authenticator = Authenticator(settings)
            app.state.waiting_room = WaitingRoom(is_closing=lambda: lifecycle.process.leaving)
            try:
                await open_store(running)
            except StoreRefused:
                # A process that must not serve, and has said why.
                lifecycle.process.refused = True
                raise
            except BinderyError as error:
                # Serve all the same: /readyz says so, and the first call after the store's return opens it.
                _log.warning("store_not_open_at_start", error=error.slug)
            catalogue.introduce("api")
            inherited = os.environ.get(METRICS_FD)
            async with listening(settings.metrics_host, settings.metrics_port, _probes(running), inherited=inherited):
                yield

    return lifespan


def _probes(running: Runtime) -> dict[str, Probe]:
    async def live() -> tuple[bool, Liveness]:
        return True, Liveness()

    async def ready() -> tuple[bool, Readiness]:
        found = await readiness(running, lifecycle.process.said, API_NEEDS)
        return found.ready, found

    return {"/livez": live, "/readyz": ready}
