"""`bindery events`: what has happened to registrations: who had a device, who took it, what has gone and why."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import click
import msgspec

from service.bootstrap import runtime
from service.cli.local import local_settings
from service.cli.wanted_service import service_named
from service.domain.errors import BinderyError
from service.domain.events import Event
from service.domain.sids import user_sid

_COUNT = 100


@click.command("events", short_help="Show what has happened to registrations, and why.")
@click.option("--service", "wanted", metavar="NAME", help="The Service, by its SID or name; the first by default.")
@click.option(
    "--identity", metavar="IDENTITY", help="Only what concerns this identity: its own, or taken by or from it."
)
@click.option("--count", type=click.IntRange(min=1), default=_COUNT, show_default=True, help="The last so many.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, one event a line.")
def command(wanted: str | None, identity: str | None, count: int, as_json: bool) -> None:
    """Show the last events of a Service, oldest first. They name users, registrations and bindings by id, no address.

    About BINDERY_EVENTS_MAX are kept.
    """
    try:
        events = asyncio.run(_events(wanted, identity, count))
    except BinderyError as error:
        raise click.ClickException(error.detail) from error
    if as_json:
        for event in events:
            click.echo(msgspec.json.encode(event).decode())
        return
    if not events:
        click.echo("no events")
    for event in events:
        click.echo("  ".join(_columns(event)).rstrip())


async def _events(wanted: str | None, identity: str | None, count: int) -> list[Event]:
    async with runtime(local_settings()) as running:
        service = service_named(running.directory, wanted)
        who = None if identity is None else user_sid(service.fingerprints.owner(identity))
        found: list[Event] = []
        async for event in service.history.latest():
            if who in (None, event.user_sid, event.other_user_sid):
                found.append(event)
                if len(found) == count:
                    break
        return found[::-1]


def _columns(event: Event) -> list[str]:
    at = datetime.fromtimestamp(event.at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:23] + "Z"
    about = [event.registration_id or "", event.binding_sid or ""]
    if event.reason is not None:
        about.append(event.reason.value)
    if event.other_user_sid is not None:
        about.append(f"other user {event.other_user_sid}")
    return [at, event.type.value.ljust(10), ",".join(event.channels).ljust(11), event.user_sid, *about]
