"""The time of day as some processes of the service see it, which a test sets forward and back while they run."""

from __future__ import annotations

import struct
from pathlib import Path

_STEPPED = Path(__file__).with_name("stepped")

HOUR = 3600.0


class Clock:
    """Runs as the machine's clock does, and shows so many seconds more.

    Processes that are started with ``environ`` go by it: Python imports `stepped/sitecustomize.py` before anything
    else. What they measure durations with stays as it is, as when a time server or an operator sets a clock.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._path.write_bytes(struct.pack("d", 0.0))
        self.environ = {"PYTHONPATH": str(_STEPPED), "STEPPED_CLOCK": str(path)}

    def step(self, offset: float) -> None:
        """Show so many seconds more than the machine's clock, from now on."""
        with self._path.open("r+b") as file:
            file.write(struct.pack("d", offset))
