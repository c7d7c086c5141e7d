"""``python -m tests.benchmarks``: measure, print the tables, keep JSON and a picture. 1 if a target is missed."""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from pathlib import Path

import click
import msgspec
import uvloop

from tests.benchmarks import draining, growth, latency, matrix, picture, report, rounds
from tests.benchmarks.figures import Figures, rows
from tests.benchmarks.rounds import NEW
from tests.benchmarks.scale import BENCH, FULL, SMOKE, Scale

PARTS = ("rounds", "draining", "latency", "growth")
_NO_ROUNDS_RATE = 1000.0
"""New registrations per second, if there was no round to tell."""


class Clock:
    """Says what goes on, and since when."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def say(self, what: str) -> None:
        """One line of progress."""
        click.echo(f"{time.monotonic() - self._started:6.0f} s  {what}", err=True)


async def measured(folder: Path, scale: Scale, parts: tuple[str, ...], clock: Clock) -> Figures:
    """Every part asked for."""
    figures = Figures(scale=scale)
    replace = msgspec.structs.replace
    django = find_spec("push_notifications") is not None
    if not django:
        clock.say("without django-push-notifications: it is not installed")
    if "rounds" in parts or "draining" in parts:
        clock.say("starting the deployments")
        async with rounds.parties(folder, scale, django=django and "rounds" in parts) as (listed, hello, site):
            if "rounds" in parts:
                figures = replace(figures, rounds=await rounds.run(listed, hello, scale.rounds, clock.say))
            if "draining" in parts:
                figures = replace(figures, draining=await draining.run(site, folder, scale, clock.say))
    if "latency" in parts:
        slowest = figures.rounds.rate(NEW).least if figures.rounds else _NO_ROUNDS_RATE
        figures = replace(figures, latencies=await latency.run(folder, scale, slowest, clock.say))
    if "growth" in parts:
        figures = replace(figures, growth=await growth.run(folder, scale, clock.say))
    return figures


@click.command()
@click.option("--full", is_flag=True, help="More of everything, and the matrix of sizes and processes.")
@click.option("--smoke", is_flag=True, help="As little as shows that the benchmarks work; the figures mean nothing.")
@click.option("--part", "parts", multiple=True, type=click.Choice(PARTS), help="Only this; may be repeated.")
@click.option("--out", type=click.Path(path_type=Path), default=Path(".bindery/bench"), show_default=True)
def main(*, full: bool, smoke: bool, parts: tuple[str, ...], out: Path) -> None:
    """Measure Bindery against its targets."""
    out.mkdir(parents=True, exist_ok=True)
    for log in out.glob("*.log"):
        log.unlink()
    clock = Clock()
    scale = SMOKE if smoke else FULL if full else BENCH
    figures = uvloop.run(measured(out, scale, parts or PARTS, clock))
    cells = uvloop.run(matrix.run(out, BENCH, clock.say)) if full else []
    click.echo("\n\n".join(text for text in (report.cases(figures), report.others(figures)) if text))
    if cells:
        click.echo("\n" + report.matrix(cells))
    click.echo("\n" + report.targets(figures) + "\n")
    click.echo(f"{report.save(out, figures, cells)}", err=True)
    if find_spec("matplotlib") is not None:
        click.echo(f"{picture.draw(out, figures)}", err=True)
    clock.say("done")
    if not smoke and not all(row.met for row in rows(figures)):
        sys.exit(1)


if __name__ == "__main__":
    main()
