"""The Service that a command is told to work on."""

import click

from service.domain.errors import NotFound
from service.usecases.service import Directory, Service


def service_named(directory: Directory, wanted: str | None) -> Service:
    """The Service of this SID or name; without one the first.

    Raises:
        click.ClickException: there is none; with the names of those that there are.
    """
    try:
        return directory.named(wanted)
    except NotFound:
        names = ", ".join(service.config.name for service in directory.services)
        raise click.ClickException(f"no such Service; there are: {names}") from None
