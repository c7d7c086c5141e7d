"""`bindery worker`: one worker process."""

import os
import sys

import click


@click.command("worker")
def command() -> None:
    """Run one worker process (settings from the environment)."""
    # Its own program, not an import: the service never imports the workers.
    os.execv(sys.executable, [sys.executable, "-m", "workers"])  # noqa: S606  # no shell wanted
