"""`bindery cutover`: from a Service's upstreams to this store, and back."""

from __future__ import annotations

import asyncio
import sys

import click

from service.backends.twilio import UpstreamError
from service.bootstrap import runtime
from service.cli.difference_table import print_differences
from service.cli.local import local_settings
from service.domain.errors import BinderyError
from service.usecases.comparing import settled
from service.usecases.moving.switching import cut_over, undo
from service.usecases.service import Service


@click.command("cutover")
@click.argument("name", metavar="SERVICE")
@click.option("--undo", "back", is_flag=True, help="Go back to the upstreams, and bring them up to date.")
@click.option("--force", is_flag=True, help="Even if the two sides differ, or cannot be compared.")
@click.option(
    "--settle", default=60.0, show_default=True, help="Seconds to wait first, at most, until nothing is owed."
)
def command(name: str, back: bool, force: bool, settle: float) -> None:
    """Keep SERVICE's bindings in this store instead of at its upstreams.

    Refused, with exit status 1, while `bindery diff` would print anything. It holds at once for all processes that are
    running; once it is to stay, take the upstreams out of the settings. Until then it can be undone.
    """
    try:
        done = asyncio.run(_back(name) if back else _over(name, force, settle))
    except (BinderyError, UpstreamError) as error:
        raise click.ClickException(str(error)) from None
    if not done:
        sys.exit(1)


async def _over(name: str, force: bool, seconds: float) -> bool:
    async with runtime(local_settings()) as running:
        service = await _configured(running.directory.named(name))
        again = service.section.cut_over
        agreed = True
        if not again and not force:
            await settled(service, seconds)
            agreed = not await print_differences(service)
            if not agreed:
                click.echo("nothing was switched: the two sides differ (--force switches all the same)", err=True)
                return False
        await cut_over(service, agreed=agreed and not force)
        click.echo(
            "its bindings were kept here already" if again else "its bindings are kept here from now on", err=True
        )
        return True


async def _back(name: str) -> bool:
    async with runtime(local_settings()) as running:
        service = await _configured(running.directory.named(name))
        if not service.section.cut_over and (await service.switches.look()).taken_back is None:
            raise click.ClickException("this Service has not been cut over")
        await undo(service)
        owed = await settled(service, 0.0)
        click.echo(f"its bindings are kept at the upstreams again; {owed} are being compared", err=True)
        return True


async def _configured(service: Service) -> Service:
    if not any(service.configured):
        raise click.ClickException("this Service has no upstream in the settings: there is nothing to switch")
    await service.section.open()
    return service
