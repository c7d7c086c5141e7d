"""`bindery upstreams`: how the accounts at upstreams are treated just now, as every process sees it."""

from __future__ import annotations

import asyncio
import sys

import click
import msgspec

from service.backends.twilio import Admission, Health
from service.cli.local import local_settings
from service.domain.services import Upstream
from service.redis import RedisError, connect
from service.settings import Settings


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """An account at an upstream. Calls are those of the last five to ten seconds."""

    upstream: str
    user: str
    services: tuple[str, ...]
    breaker: str
    good_calls: int
    bad_calls: int
    left_alone_seconds: float
    rate: float


@click.command("upstreams", short_help="Show the accounts at upstreams: rate, recent calls, breaker.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(as_json: bool) -> None:
    """Show the accounts at upstreams: rate, recent calls, circuit breaker; exit status 1 if one is not closed."""
    settings = local_settings()
    try:
        lines = asyncio.run(_lines(settings))
    except RedisError as error:
        raise click.ClickException(f"the store cannot be asked ({type(error).__name__})") from None
    if as_json:
        click.echo(msgspec.json.encode(lines))
    else:
        _show(lines)
    if any(line.breaker != "closed" for line in lines):
        sys.exit(1)


async def _lines(settings: Settings) -> list[Line]:
    accounts: dict[tuple[str, str], tuple[Upstream, list[str]]] = {}
    for service in settings.services:
        for upstream in (service.notify_upstream, service.chat_upstream):
            if upstream is not None:
                names = accounts.setdefault((upstream.url, upstream.user), (upstream, []))[1]
                names.append(f"{service.name} ({upstream.api})")
    redis = connect(settings.redis_url, timeout=settings.redis_timeout)
    try:
        return [
            _line(upstream, names, await Admission(redis, upstream).health()) for upstream, names in accounts.values()
        ]
    finally:
        await redis.aclose()


def _line(upstream: Upstream, services: list[str], health: Health) -> Line:
    return Line(
        upstream=upstream.url,
        user=upstream.user,
        services=tuple(services),
        breaker=health.state,
        good_calls=health.good,
        bad_calls=health.bad,
        left_alone_seconds=max(health.held_seconds, health.pause_seconds),
        rate=upstream.rate,
    )


def _show(lines: list[Line]) -> None:
    if not lines:
        click.echo("no Service has an upstream")
    for line in lines:
        click.echo(f"{line.upstream} as {line.user}, for {', '.join(line.services)}")
        click.echo(
            f"    breaker {line.breaker}; calls {line.good_calls} good, {line.bad_calls} bad;"
            f" at most {line.rate:g}/s; left alone for {line.left_alone_seconds:.1f} s"
        )
