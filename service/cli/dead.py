"""`bindery dead`: what a backend refused for good, to be looked at, tried again or dropped."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import click
import msgspec

from service.bootstrap import runtime
from service.cli.local import local_settings
from service.cli.wanted_service import service_named
from service.domain.errors import BinderyError
from service.store.ledger import DeadLetter
from service.usecases.service import Directory, Service


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter as it is shown. ``at`` is UTC, to the second."""

    name: str
    service: str
    ledger: str
    at: str
    reason: str


@click.group("dead", short_help="List, retry or drop what a backend has refused for good.")
def command() -> None:
    """List, retry or drop dead letters: work that a backend refused for good."""


_service_option = click.option("--service", "wanted", metavar="NAME", help="Only this Service: its SID or name.")
_json_option = click.option("--json", "as_json", is_flag=True, help="As JSON.")
_all_option = click.option("--all", "everything", is_flag=True, help="Every dead letter.")


@command.command("list")
@_service_option
@_json_option
def list_letters(wanted: str | None, as_json: bool) -> None:
    """List the dead letters, oldest first."""
    _show([_line(*found) for found in _run(wanted, _letters)], as_json)


@command.command("retry")
@click.argument("name", required=False)
@_all_option
@_service_option
@_json_option
def retry(name: str | None, everything: bool, wanted: str | None, as_json: bool) -> None:
    """Try the dead letter NAME again, or all of them."""
    _change(name, everything, wanted, as_json, _retry)


@command.command("drop")
@click.argument("name", required=False)
@_all_option
@_service_option
@_json_option
def drop(name: str | None, everything: bool, wanted: str | None, as_json: bool) -> None:
    """Forget the dead letter NAME, or all of them.

    A registration stays failed until it is registered again. A removal is given up: what the upstream has stays there.
    """
    _change(name, everything, wanted, as_json, _drop)


async def _retry(service: Service, letter: DeadLetter) -> None:
    service.wake(await service.ledgers.retry(letter))


async def _drop(service: Service, letter: DeadLetter) -> None:
    await service.ledgers.drop(letter)


async def _letters(services: tuple[Service, ...]) -> list[tuple[Service, DeadLetter]]:
    found = [(service, letter) for service in services for letter in await service.ledgers.dead_letters()]
    return sorted(found, key=lambda pair: (pair[1].at, pair[1].name))


def _change(
    name: str | None,
    everything: bool,
    wanted: str | None,
    as_json: bool,
    verb: Callable[[Service, DeadLetter], Awaitable[None]],
) -> None:
    if (name is None) != everything:
        raise click.UsageError("name one dead letter, or --all")

    async def change(services: tuple[Service, ...]) -> list[tuple[Service, DeadLetter]]:
        chosen = [found for found in await _letters(services) if everything or found[1].name == name]
        for service, letter in chosen:
            await verb(service, letter)
        return chosen

    changed = _run(wanted, change)
    if name is not None and not changed:
        click.echo(f"there is no dead letter {name}", err=True)
        sys.exit(1)
    _show([_line(*found) for found in changed], as_json)


def _run(
    wanted: str | None, work: Callable[[tuple[Service, ...]], Awaitable[list[tuple[Service, DeadLetter]]]]
) -> list[tuple[Service, DeadLetter]]:
    async def run() -> list[tuple[Service, DeadLetter]]:
        async with runtime(local_settings()) as running:
            return await work(_chosen(running.directory, wanted))

    try:
        return asyncio.run(run())
    except BinderyError as error:
        raise click.ClickException(error.detail) from error


def _chosen(directory: Directory, wanted: str | None) -> tuple[Service, ...]:
    return directory.services if wanted is None else (service_named(directory, wanted),)


def _line(service: Service, letter: DeadLetter) -> Line:
    return Line(
        name=letter.name,
        service=service.config.name,
        ledger=letter.ledger.name.lower(),
        at=datetime.fromtimestamp(letter.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        reason=letter.reason,
    )


def _show(lines: list[Line], as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(lines).decode())
        return
    if not lines:
        click.echo("no dead letters")
        return
    rows = [("WHEN", "LEDGER", "SERVICE", "NAME", "REASON")]
    rows += [(line.at, line.ledger, line.service, line.name, line.reason) for line in lines]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        click.echo("  ".join([*(cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)), row[4]]))
