"""`bindery import`: registrations from an archive, or bindings from a Service's upstreams."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from itertools import repeat
from pathlib import Path
from typing import BinaryIO

import click

from service.backends.twilio import UpstreamError
from service.bootstrap import runtime
from service.cli.finite import FiniteRange
from service.cli.local import local_settings
from service.cli.wanted_service import service_named
from service.domain.archive import UnreadableLine
from service.domain.errors import BinderyError
from service.usecases.moving.importing import UNREADABLE, import_bindings
from service.usecases.moving.pacing import RateLimit
from service.usecases.moving.restoring import Progress, restore
from service.usecases.service import Service
from service.usecases.upstream.channels import ChatUpstream, NotifyUpstream

_MEANINGS = {
    "new": "new",
    "adopted": "new",
    "replaced": "replaced something older here",
    "same": "here already",
    "newer": "something newer is here, and stays",
    "ours": "something newer is here, and stays",
    "fenced": "ended by a logout here since",
    "ended": "ended by a logout here since",
    "removed": "ended by a logout here since; will be deleted there",
    "full": "not taken: its identity has as many as it may have",
    "collision": "not taken: its fingerprint is another's",
    "future": "not taken: of a time to come",
    UNREADABLE: "not taken: not of a kind that is known here",
}
_LOST = ("full", "collision", "future", UNREADABLE)


@click.command("import", short_help="Take over an upstream's bindings, or what was exported.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@click.option("--service", "wanted", metavar="NAME", help="The Service: its SID or name; the first by default.")
@click.option("--only", type=click.Choice(["notify", "chat"]), help="Bindings of one upstream alone.")
@click.option("--dry-run", is_flag=True, help="Change nothing.")
@click.option("--rate", type=FiniteRange(min=0, min_open=True), help="At most so many a second.")
def command(file: Path | None, wanted: str | None, only: str | None, dry_run: bool, rate: float | None) -> None:
    """Take over all bindings of a Service's upstreams, or registrations from FILE, which `bindery export` has written.

    What is newer here stays. Run again, it goes on where it ended; doing it twice does no harm. Exit status 1 if
    something could not be taken.
    """
    try:
        if file is None:
            counts = asyncio.run(_from_upstreams(wanted, only, dry_run, rate))
        else:
            with file.open("rb") as archive:
                counts = asyncio.run(_from_archive(archive, file.stat().st_size, wanted, dry_run, rate))
    except (BinderyError, UpstreamError, UnreadableLine) as error:
        raise click.ClickException(str(error)) from None
    for name, meaning in _MEANINGS.items():
        if counts[name]:
            click.echo(f"{counts[name]:>9}  {meaning}")
    if dry_run:
        click.echo("nothing was changed", err=True)
    if any(counts[name] for name in _LOST):
        sys.exit(1)


async def _from_archive(
    archive: BinaryIO, size: int, wanted: str | None, dry_run: bool, rate: float | None
) -> Counter[str]:
    async with runtime(local_settings()) as running:
        service = service_named(running.directory, wanted)
        with click.progressbar(
            length=size, label="registrations", file=sys.stderr, item_show_func=lambda lines: str(lines or "")
        ) as bar:

            def told(progress: Progress) -> None:
                bar.update(progress.bytes - bar.pos, progress.lines)

            counts = await restore(service, archive, dry_run=dry_run, pace=RateLimit(rate), told=told)
            return Counter({outcome.value.decode(): count for outcome, count in counts.items()})


async def _from_upstreams(wanted: str | None, only: str | None, dry_run: bool, rate: float | None) -> Counter[str]:
    async with runtime(local_settings()) as running:
        service = service_named(running.directory, wanted)
        await service.section.open()
        upstreams: list[NotifyUpstream | ChatUpstream] = []
        if service.notify_upstream is not None and only != "chat":
            upstreams.append(service.notify_upstream)
        if service.chat_upstream is not None and only != "notify":
            upstreams.append(service.chat_upstream)
        if not upstreams:
            raise click.ClickException(
                "this Service has no such upstream, or has been cut over; to read a file, name it"
            )
        counts: Counter[str] = Counter()
        for upstream in upstreams:
            counts += await _from_upstream(service, upstream, dry_run, rate)
        return counts


async def _from_upstream(
    service: Service, upstream: NotifyUpstream | ChatUpstream, dry_run: bool, rate: float | None
) -> Counter[str]:
    # How many there are, an upstream does not tell.
    with click.progressbar(
        repeat(None), label=f"{upstream.config.api} bindings", file=sys.stderr, show_pos=True, show_percent=False
    ) as bar:

        def told(bindings: int) -> None:
            bar.update(bindings - bar.pos)

        return await import_bindings(service, upstream, dry_run=dry_run, pace=RateLimit(rate), told=told)
