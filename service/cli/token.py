"""`bindery token`: an app's JWT for development."""

import time
from typing import Any

import click
import jwt

from service.cli.local import local_settings
from service.domain.limits import IDENTITY_LENGTH
from service.domain.services import ServiceConfig
from service.settings import Settings


@click.command("token")
@click.option("--identity", required=True, help="Whose token: the `sub` claim.")
@click.option("--sid", help="The session: the `sid` claim.")
@click.option("--ttl", default=3600, show_default=True, type=click.IntRange(1), help="Life in seconds.")
@click.option("--service", "wanted", help="SID or name of the Service; the default one otherwise.")
def command(identity: str, sid: str | None, ttl: int, wanted: str | None) -> None:
    """Print a token such as an app gets from its login (HS256)."""
    settings = local_settings(certificates=False)
    if not 0 < len(identity) <= IDENTITY_LENGTH:
        raise click.BadParameter(f"must have 1 to {IDENTITY_LENGTH} characters", param_hint="--identity")
    if ttl > settings.jwt_max_ttl:
        raise click.BadParameter(f"more than BINDERY_JWT_MAX_TTL ({settings.jwt_max_ttl})", param_hint="--ttl")
    service = _service(settings, wanted)
    now = int(time.time())
    claims: dict[str, Any] = {"sub": identity, "iat": now, "exp": now + ttl, "sid": sid}
    claims |= {"iss": service.jwt_issuer, "aud": service.jwt_audience}
    present = {name: value for name, value in claims.items() if value is not None}
    click.echo(jwt.encode(present, settings.jwt_secret, algorithm="HS256"))


def _service(settings: Settings, wanted: str | None) -> ServiceConfig:
    if wanted is None:
        return settings.services[0]
    for service in settings.services:
        if wanted in {service.sid, service.name}:
            return service
    names = ", ".join(service.name for service in settings.services)
    raise click.BadParameter(f"no such Service; there are: {names}", param_hint="--service")
