"""The settings of a command that is typed beside a running `bindery up`."""

import contextlib
import os
from pathlib import Path
from typing import IO

import click

from service.cli import credentials, socket_path
from service.logs import configure
from service.settings import Settings, SettingsError, load, rules
from service.settings.faults import Faults
from service.settings.loading import PREFIX
from service.settings.secret_files import with_files


class SettingsFault(click.ClickException):
    """The settings are at fault; the exit status is a worker's for the same."""

    exit_code = 2

    def show(self, file: IO[str] | None = None) -> None:
        """Say it, where it can be said: the exit status tells it in any case."""
        with contextlib.suppress(OSError):
            super().show(file)


def data_dir() -> Path:
    """Where `bindery up` keeps its things, by the environment.

    Raises:
        SettingsFault: it is in a home directory that there is not.
    """
    try:
        # Where a link leads to: what is made for the data lies beside them, and is checked there.
        return rules.path(given().get("BINDERY_DATA_DIR") or ".bindery").resolve()
    except ValueError as error:
        raise SettingsFault(f"BINDERY_DATA_DIR {error}") from error
    except (RuntimeError, OSError) as error:
        raise SettingsFault("BINDERY_DATA_DIR must not be a loop of links") from error


def given() -> dict[str, str]:
    """The environment, completed by the files of BINDERY_SECRETS_DIR; what is wrong with those, `loaded` says."""
    return with_files(os.environ, PREFIX, Faults())


def local_settings(*, certificates: bool = True) -> Settings:
    """The settings of the environment; credentials and store of `bindery up` fill in what it leaves open.

    Without `certificates` the store is not to be connected to: its URL's files of TLS may lie elsewhere.

    Raises:
        SettingsFault: with all faults of the settings.
    """
    path = data_dir()
    try:
        environ = credentials.beside(path, given())
        if not environ.get("BINDERY_REDIS_URL") and (path / credentials.FILE).exists():
            environ["BINDERY_REDIS_URL"] = socket_path.url(socket_path.choose(path))
    except OSError as error:
        raise click.ClickException(f"the data directory {path} cannot be used: {error}") from error
    settings = loaded(environ, certificates=certificates)
    # What is logged goes to standard error: standard output is the command's own.
    configure(settings, for_good=False)
    return settings


def loaded(environ: dict[str, str], *, certificates: bool = True) -> Settings:
    """The settings in `environ`.

    Raises:
        SettingsFault: with all faults of the settings.
    """
    try:
        return load(environ, certificates=certificates)
    except SettingsError as error:
        lines = "".join(f"\n  {fault}" for fault in error.faults)
        raise SettingsFault(f"the settings cannot be used:{lines}") from error
