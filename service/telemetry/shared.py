"""How the processes under one `bindery up` keep their metrics together: prometheus_client's multiprocess mode."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable, prometheus_client's own, that names the folder where they do. Unset, each has its own."""

PROCESS = "PROMETHEUS_PROCESS_NAME"
"""The one with a process's name there. A process that is started again goes on with its predecessor's numbers."""

_KINDS = ("counter", "histogram", "gauge_mostrecent")
"""What the library calls the kinds of values that the catalogue has; each is a file of a process."""

_ROOM = 1024 * 1024
"""Bytes of such a file: several times what the labels of one Service take."""


def make_room(path: Path, names: Iterable[str]) -> None:
    """Make the files of the processes of these names in the folder ``path``.

    The library would make them with holes, and to write into one ends a process by SIGBUS where the disk is full.

    Raises:
        OSError: they cannot be written.
    """
    for name in names:
        for kind in _KINDS:
            (path / f"{kind}_{name}.db").write_bytes(bytes(_ROOM))


def folder() -> str | None:
    """The folder of this process and its siblings."""
    return os.environ.get(FOLDER)


@cache  # asked for at every count; and no process of ours forks
def process_name() -> str:
    """This process's name there."""
    return os.environ.get(PROCESS) or str(os.getpid())
