"""Differences as commands print them: a table, or JSON, as they are found."""

from __future__ import annotations

import click
import msgspec

from service.domain.record import Channel
from service.usecases.comparing import Difference, differences
from service.usecases.service import Service


async def print_differences(service: Service, channels: Channel, *, as_json: bool = False) -> int:
    """Print those of a Service in these channels; answers how many there are."""
    count = 0
    async for found in differences(service, channels):
        if as_json:
            click.echo(("," if count else "[") + msgspec.json.encode(found).decode())
        else:
            click.echo(_line(found))
        count += 1
    if as_json:
        click.echo("]" if count else "[]")
    return count


def _line(found: Difference) -> str:
    return f"{found.what.value:<16}  {found.api:<13}  {found.user_sid}  {found.binding_sid}  {found.detail}".rstrip()
