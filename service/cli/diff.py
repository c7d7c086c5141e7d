"""`bindery diff`: what a Service and its upstreams do not agree on."""

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
from service.domain.record import ALL_CHANNELS
from service.usecases.comparing import settled


@click.command("diff", short_help="Compare a Service with its upstreams, both ways.")
@click.option("--service", "wanted", metavar="NAME", help="The Service: its SID or name; the first by default.")
@click.option(
    "--settle",
    type=FiniteRange(min=0),
    default=60.0,
    show_default=True,
    help="Seconds to wait first, at most, until nothing is owed.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(wanted: str | None, settle: float, as_json: bool) -> None:
    """Compare a Service with its upstreams, both ways; exit status 1 if they differ."""
    try:
        found = asyncio.run(_run(wanted, settle, as_json))
    except (BinderyError, UpstreamError) as error:
        raise click.ClickException(str(error)) from None
    if found:
        sys.exit(1)


async def _run(wanted: str | None, seconds: float, as_json: bool) -> int:
    async with runtime(local_settings()) as running:
        service = service_named(running.directory, wanted)
        await service.section.open()
        if service.notify_upstream is None and service.chat_upstream is None:
            if any(service.configured):
                raise click.ClickException("this Service has been cut over: its upstreams are left alone")
            raise click.ClickException("this Service has no upstream to compare with")
        owed = await settled(service, seconds)
        if owed:
            click.echo(f"{owed} entries are still owed: differences may pass", err=True)
        return await print_differences(service, ALL_CHANNELS, as_json=as_json)
