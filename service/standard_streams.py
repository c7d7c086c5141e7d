"""Standard input, output and error that a process was started without, as by `2>&-`."""

from __future__ import annotations

import os
import sys

_MODES = {"stdin": "r", "stdout": "w", "stderr": "w"}


def open_missing() -> None:
    """Put the null device in their places: what is opened next would get their numbers, and logs be written to it."""
    for fd, (name, mode) in enumerate(_MODES.items()):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115  # as long as the process runs
            os.set_inheritable(fd, True)
