"""`bindery worker`: one worker process."""

import os
import sys

import click


@click.command("worker")
def command() -> None:
    """Run one worker process (settings from the environment).

    Exit status: 0 stopped, 1 the store refused us, 2 the settings are at fault, 3 anything else.
    """
    # Its own program, not an import: the service never imports the workers.
    os.execv(sys.executable, [sys.executable, "-m", "workers"])  # noqa: S606  # no shell wanted
