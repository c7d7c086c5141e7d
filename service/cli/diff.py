"""`bindery diff`: what a Service and its upstreams do not agree on."""

from __future__ import annotations

import asyncio
import sys

import click
import msgspec

from service.backends.twilio import UpstreamError
from service.bootstrap import runtime
from service.cli.local import local_settings
from service.domain.errors import BinderyError
from service.usecases.comparing import Difference, chat_differences, notify_differences, settled


@click.command("diff")
@click.option("--service", "wanted", metavar="NAME", help="The Service: its SID or name; the first by default.")
@click.option("--settle", default=0.0, show_default=True, help="Seconds to wait first until nothing is owed.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(wanted: str | None, settle: float, as_json: bool) -> None:
    """Compare a Service with its upstreams, both ways; exit status 1 if they differ."""
    try:
        found = asyncio.run(_run(wanted, settle))
    except (BinderyError, UpstreamError) as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        rows = [(d.what.value, d.api, d.user_sid, d.binding_sid, d.detail) for d in found]
        for what, api, user, sid, detail in rows:
            click.echo(f"{what:<16}  {api:<13}  {user}  {sid}  {detail}".rstrip())
    if found:
        sys.exit(1)


async def _run(wanted: str | None, seconds: float) -> list[Difference]:
    async with runtime(local_settings()) as running:
        service = running.directory.named(wanted)
        if service.notify_upstream is None and service.chat_upstream is None:
            raise click.ClickException("this Service has no upstream to compare with")
        owed = await settled(service, seconds)
        if owed:
            click.echo(f"{owed} entries are still owed: differences may pass", err=True)
        found: list[Difference] = []
        if service.notify_upstream is not None:
            found += [difference async for difference in notify_differences(service, service.notify_upstream)]
        if service.chat_upstream is not None:
            found += [difference async for difference in chat_differences(service, service.chat_upstream)]
        return found
