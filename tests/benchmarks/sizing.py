"""``python -m tests.benchmarks.sizing bench.json``: what to give a deployment, in Markdown, by what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from tests.benchmarks.growth import Growth
from tests.benchmarks.measuring import Sample, spread
from tests.benchmarks.report import Report
from tests.benchmarks.rounds import LOOKUP, NEW, UNCHANGED, UNCHANGED_KNOWN

BEGIN, END = "<!-- sizing:begin -->", "<!-- sizing:end -->"
SHARE = 0.7
"""What of a core is planned with: above it answers begin to queue."""

_CASES = {
    UNCHANGED_KNOWN: "an app's start that changes nothing",
    UNCHANGED: "the same, with a token not seen before",
    NEW: "a new registration, until it is applied",
    "takeover": "a takeover by another identity",
    "logout": "a logout",
    LOOKUP: "a lookup of one identity",
    "lookup of 100 identities": "a lookup of 100 identities",
    "Notify create": "a Notify create",
    "Notify list": "a Notify list of one identity",
}


def tables(reports: Sequence[Report]) -> str:
    """The tables, of the last report that has what each needs."""
    rounds = next((r for r in reversed(reports) if r.figures.rounds is not None), None)
    grown = next((r for r in reversed(reports) if r.figures.growth is not None), None)
    parts = []
    if rounds is not None and rounds.figures.rounds is not None:
        parts += [_requests(rounds.figures.rounds.cases), _source(rounds.machine)]
    if grown is not None and grown.figures.growth is not None:
        parts.append(_devices(grown.figures.growth))
    return "\n\n".join(parts) + "\n"


def _requests(cases: dict[str, list[Sample]]) -> str:
    head = "| what | API | worker | store | one API process | one server |\n| --- | --- | --- | --- | --- | --- |"
    lines = []
    for name, words in _CASES.items():
        if name in cases:
            cpu = {part: spread([s.cpu[part] for s in cases[name]]).median for part in ("api", "worker", "valkey")}
            micros = " | ".join(f"{cpu[part]:,.0f} µs" for part in cpu)
            lines.append(f"| {words} | {micros} | {_rate(cpu['api'])} | {_rate(cpu['valkey'])} |")
    return "\n".join([head, *lines])


def _rate(micros: float) -> str:
    """Requests per second that so many microseconds each leave room for: two digits are all that is true of it."""
    return f"{float(f'{SHARE * 1e6 / micros:.2g}'):,.0f}/s"


def _source(machine: dict[str, str]) -> str:
    return (
        f"CPU time of one request, and what a core at {SHARE:.0%} answers of it. Measured at {machine['commit']} on "
        f"{machine['cpus']} cores\n(load {machine['load'].split()[0]}), Python {machine['python']}, "
        "`appendfsync always`."
    )


def _devices(growth: Growth) -> str:
    head = "| devices | bytes each | of 1 GB |\n| --- | --- | --- |"
    found = {"APNs": growth.bytes_apn, "FCM": growth.bytes_fcm}
    lines = [
        f"| {kind} | {size:.0f} | {float(f'{1e9 / size:.2g}') / 1e6:.1f} million |" for kind, size in found.items()
    ]
    return "\n".join([head, *lines])


def write(document: Path, text: str) -> None:
    """Put the tables between the markers of a document.

    Raises:
        ValueError: the markers are not there.
    """
    kept = document.read_text(encoding="utf-8")
    if kept.count(BEGIN) != 1 or kept.count(END) != 1:
        raise ValueError(f"{document.name} must hold {BEGIN} and {END} once each")
    before, after = kept.split(BEGIN)[0], kept.split(END)[1]
    document.write_text(f"{before}{BEGIN}\n{text}{END}{after}", encoding="utf-8")


@click.command()
@click.argument("reports", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--write", "document", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(reports: tuple[Path, ...], document: Path | None) -> None:
    """Print the tables of what REPORTS hold, or write them into a document."""
    text = tables([msgspec.json.decode(path.read_bytes(), type=Report, strict=False) for path in reports])
    if document is None:
        click.echo(text, nl=False)
    elif "of 1 GB" not in text or "one server" not in text:
        raise click.ClickException("these reports lack the rounds or the growth: run make bench without --part")
    else:
        write(document, text)


if __name__ == "__main__":
    main()
