"""The floor: the same framework, server, middleware and bodies, without auth, store or rules."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import msgspec
from litestar import Litestar, post
from litestar.exceptions import HTTPException

from service.api import native
from service.api.access_log import access_log
from service.api.errors import on_any_error, on_bindery_error, on_http_error
from service.api.native.bodies import NativeRequest, RegistrationBody, read_body
from service.domain.errors import BinderyError
from service.domain.limits import BODY_BYTES
from service.logs import configure
from service.settings import load
from service.usecases.views import BindingSids, RegistrationState, RegistrationView

_decoder = msgspec.json.Decoder(RegistrationBody)
_NOW = datetime.now(UTC).replace(microsecond=0)


@post("/v1/registrations", status_code=200)
async def hello(request: NativeRequest) -> RegistrationView:
    """Decode the body of a registration, and answer as to one."""
    return view(await read_body(request, _decoder))


def view(body: RegistrationBody) -> RegistrationView:
    """What Bindery would answer to this body, but for the values that it would have to work out."""
    return RegistrationView(
        id="0" * 38,
        state=RegistrationState.APPLIED,
        version=1_700_000_000_000_000,
        service_sid="IS" + "1" * 32,
        identity="00000000-0000-0000-0000-000000000000",
        user_sid="US" + "0" * 32,
        binding_type=body.binding_type.value,
        address=body.address,
        device_id=body.device_id,
        tags=body.tags,
        credential_sid=body.credential_sid,
        notification_protocol_version=body.notification_protocol_version,
        channels=("notify",),
        chat=None,
        bindings=BindingSids(notify="BS" + "0" * 32, chat=None),
        created_at=_NOW,
        updated_at=_NOW,
        last_seen_at=_NOW,
    )


def create_app() -> Litestar:
    """The application, with the settings of `service.app`."""
    configure(load(os.environ))
    return Litestar(
        route_handlers=[hello, native.health.livez],
        middleware=[access_log],
        exception_handlers={BinderyError: on_bindery_error, HTTPException: on_http_error, Exception: on_any_error},
        openapi_config=native.openapi.config(),
        request_max_body_size=BODY_BYTES,
        logging_config=None,
    )
