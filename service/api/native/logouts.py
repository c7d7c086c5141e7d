"""``/v1/logouts``: where auth back ends say that a device, a session or an identity has logged out."""

from __future__ import annotations

import msgspec
from litestar import post

from service.api.access_log import traceparent_of
from service.api.native.bodies import LogoutBody, NativeRequest, channel_flags, read_body
from service.api.native.callers import server_only, service_of
from service.api.native.openapi import SERVICE_QUERY, described
from service.domain.errors import InvalidInput
from service.usecases import ending
from service.usecases.looking_up import check_named

_decoder = msgspec.json.Decoder(LogoutBody)


class LogoutAnswer(msgspec.Struct, frozen=True):
    """How many registrations a logout ended."""

    ended: int


@post("/v1/logouts", operation_class=described(LogoutBody, parameters=[SERVICE_QUERY], faults=[404]), status_code=200)
async def log_out_by_server(request: NativeRequest) -> LogoutAnswer:
    """Log out a device, a session, an address or a whole identity.

    What it ended cannot come back with what authorised it, even if there was nothing to end.
    """
    server_only(request)
    body = await read_body(request, _decoder)
    found = service_of(request, body.service)
    await check_named(found, [body.identity])
    if sum(name is not None for name in (body.device_id, body.session, body.address)) > 1:
        raise InvalidInput("device_id", "only one of device_id, session and address can be logged out at a time")
    ended = await ending.log_out(
        found,
        body.identity,
        device_id=body.device_id,
        session=body.session,
        address=body.address,
        channels=channel_flags(body.channels),
        include_messaging=body.include_messaging,
        traceparent=traceparent_of(request),
    )
    return LogoutAnswer(ended)
