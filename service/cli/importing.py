"""`bindery import`: registrations from an archive, or bindings from a Service's upstreams."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from pathlib import Path
from typing import BinaryIO

import click

from service.bootstrap import runtime
from service.cli.local import local_settings
from service.domain.archive import UnreadableLine
from service.domain.errors import BinderyError
from service.store.archives import Restored
from service.usecases.moving.pacing import Pace
from service.usecases.moving.restoring import Progress, restore

_LOST = frozenset({Restored.FULL, Restored.COLLISION, Restored.FUTURE})
_MEANINGS = {
    Restored.NEW: "new",
    Restored.REPLACED: "replaced something older",
    Restored.SAME: "here already",
    Restored.NEWER: "something newer is here",
    Restored.FENCED: "ended by a logout since",
    Restored.FULL: "not taken: its identity is full",
    Restored.COLLISION: "not taken: its fingerprint is another's",
    Restored.FUTURE: "not taken: of a time to come",
}


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--service", "wanted", metavar="NAME", help="The Service: its SID or name; the first by default.")
@click.option("--dry-run", is_flag=True, help="Change nothing.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="At most so many a second.")
def command(file: Path, wanted: str | None, dry_run: bool, rate: float | None) -> None:
    """Read registrations from FILE, which `bindery export` has written; exit status 1 if some could not be taken.

    What is newer here stays. Run again, it goes on where it ended; doing it twice does no harm.
    """
    try:
        with file.open("rb") as archive:
            counts = asyncio.run(_run(archive, file.stat().st_size, wanted, dry_run, rate))
    except (BinderyError, UnreadableLine) as error:
        raise click.ClickException(str(error)) from None
    for outcome, count in sorted(counts.items(), key=lambda item: list(Restored).index(item[0])):
        click.echo(f"{count:>9}  {_MEANINGS[outcome]}")
    if dry_run:
        click.echo("nothing was changed", err=True)
    if any(counts[outcome] for outcome in _LOST):
        sys.exit(1)


async def _run(
    archive: BinaryIO, size: int, wanted: str | None, dry_run: bool, rate: float | None
) -> Counter[Restored]:
    async with runtime(local_settings()) as running:
        service = running.directory.named(wanted)
        with click.progressbar(length=size, label="registrations", file=sys.stderr) as bar:

            def told(progress: Progress) -> None:
                bar.label = f"{progress.lines} registrations"
                bar.update(progress.bytes - bar.pos)

            return await restore(service, archive, dry_run=dry_run, pace=Pace(rate), told=told)
