"""`bindery cutover`: from a Service's upstreams to this store, and back."""

from __future__ import annotations

import asyncio
import sys

import click

from service.backends.twilio import UpstreamError
from service.bootstrap import runtime
from service.cli.difference_table import print_differences
from service.cli.finite import FiniteRange
from service.cli.local import local_settings
from service.cli.wanted_service import service_named
from service.domain.errors import BinderyError
from service.domain.record import ALL_CHANNELS, NO_CHANNEL, Channel
from service.usecases.comparing import settled
from service.usecases.moving.switching import cut_over, undo
from service.usecases.service import Service

_CHANNELS = {"notify": Channel.NOTIFY, "chat": Channel.CHAT}


@click.command("cutover", short_help="Keep a Service's bindings here instead of at its upstreams.")
@click.argument("name", metavar="SERVICE")
@click.option("--only", type=click.Choice(list(_CHANNELS)), help="Bindings of one kind alone.")
@click.option("--undo", "back", is_flag=True, help="Go back to the upstreams, and bring them up to date.")
@click.option("--force", is_flag=True, help="Even if the two sides differ, or cannot be compared.")
@click.option(
    "--settle",
    type=FiniteRange(min=0),
    default=60.0,
    show_default=True,
    help="Seconds to wait at most until nothing is owed.",
)
def command(name: str, only: str | None, back: bool, force: bool, settle: float) -> None:
    """Keep SERVICE's bindings in this store instead of at its upstreams.

    Refused, with exit status 1, while `bindery diff` would print anything. It holds at once for all processes that are
    running; once it is to stay, take the upstreams out of the settings. Until then it can be undone.
    """
    wanted = _CHANNELS[only] if only else ALL_CHANNELS
    try:
        done = asyncio.run(_back(name, wanted) if back else _over(name, wanted, force, settle))
    except (BinderyError, UpstreamError) as error:
        raise click.ClickException(str(error)) from None
    if not done:
        sys.exit(1)


async def _over(name: str, wanted: Channel, force: bool, seconds: float) -> bool:
    async with runtime(local_settings()) as running:
        service = service_named(running.directory, name)
        channels = await _configured(service) & wanted
        if not channels:
            raise click.ClickException("this Service has no such upstream in the settings: there is nothing to switch")
        again = channels & ~service.section.cut_over == NO_CHANNEL
        if not again and not force:
            await settled(service, seconds)
            if await print_differences(service, channels):
                click.echo("nothing was switched: the two sides differ (--force switches all the same)", err=True)
                return False
        kinds = _names(channels if again else channels & ~service.section.cut_over)
        await cut_over(service, channels, agreed=not force)
        click.echo(f"{kinds} bindings {'were kept here already' if again else 'are kept here from now on'}", err=True)
        return True


async def _back(name: str, wanted: Channel) -> bool:
    async with runtime(local_settings()) as running:
        service = service_named(running.directory, name)
        configured = await _configured(service)
        state = await service.switches.look()
        begun = Channel(sum(state.taken_back))
        channels = (state.cut_over | begun) & wanted & configured
        if not channels:
            raise click.ClickException("this Service has not been cut over, or has no such upstream in the settings")
        await undo(service, channels)
        owed = await settled(service, 0.0)
        click.echo(f"{_names(channels)} bindings are kept at the upstream again; {owed} are being compared", err=True)
        return True


async def _configured(service: Service) -> Channel:
    """The channels that have an upstream in the settings; where their bindings are kept is known from here on."""
    await service.section.open()
    notify, chat = service.configured
    return (Channel.NOTIFY if notify else NO_CHANNEL) | (Channel.CHAT if chat else NO_CHANNEL)


def _names(channels: Channel) -> str:
    return " and ".join(name.capitalize() for name, channel in _CHANNELS.items() if channel in channels)
