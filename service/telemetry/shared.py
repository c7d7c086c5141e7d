"""How the processes under one `bindery up` keep their metrics together: prometheus_client's multiprocess mode."""

from __future__ import annotations

import os
from functools import cache

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable, prometheus_client's own, that names the folder where they do. Unset, each has its own."""

PROCESS = "PROMETHEUS_PROCESS_NAME"
"""The one with a process's name there. A process that is started again goes on with its predecessor's numbers."""


def folder() -> str | None:
    """The folder of this process and its siblings."""
    return os.environ.get(FOLDER)


@cache  # asked for at every count; and no process of ours forks
def process_name() -> str:
    """This process's name there."""
    return os.environ.get(PROCESS) or str(os.getpid())
