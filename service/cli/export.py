"""`bindery export`: a Service's registrations as NDJSON."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from service.bootstrap import runtime
from service.cli.local import local_settings
from service.cli.wanted_service import service_named
from service.domain.archive import encode_line
from service.domain.errors import BinderyError
from service.usecases.comparing import settled
from service.usecases.moving.exporting import export
from service.usecases.service import Service


@click.command("export", short_help="Write all registrations of a Service to a file.")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--service", "wanted", metavar="NAME", help="The Service: its SID or name; the first by default.")
def command(file: Path, wanted: str | None) -> None:
    """Write all registrations of a Service to FILE (- for standard output), which only its owner may read.

    It holds addresses and device ids. `bindery import` reads it back.
    """
    try:
        lines, owed = asyncio.run(_run(file, wanted))
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from None
    except BinderyError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{lines} registrations and Chat bindings of their own", err=True)
    if owed:
        click.echo(f"{owed} changes were still owed; removals among them are not in the file", err=True)


async def _run(path: Path, wanted: str | None) -> tuple[int, int]:
    async with runtime(local_settings()) as running:
        service = service_named(running.directory, wanted)
        with _target(path) as file:
            lines = await _write(service, file)
        return lines, await settled(service, 0.0)


@contextmanager
def _target(path: Path) -> Iterator[BinaryIO]:
    if str(path) == "-":
        yield sys.stdout.buffer
    elif path.exists() and not path.is_file():
        # A pipe, or a device: nothing is to take its place.
        with path.open("wb") as file:
            yield file
    else:
        with _whole(path.resolve()) as file:
            yield file


@contextmanager
def _whole(path: Path) -> Iterator[BinaryIO]:
    # Beside the file and then in its place: it is whole or it is not there.
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    # Anew: what lies there may be somebody else's to read.
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        # The half of one that failed; a whole one is in its place by now.
        beside.unlink(missing_ok=True)


async def _write(service: Service, file: BinaryIO) -> int:
    count = -1
    async for lines in export(service):
        count += len(lines)
        file.write(b"".join(encode_line(line) + b"\n" for line in lines))
    return count
