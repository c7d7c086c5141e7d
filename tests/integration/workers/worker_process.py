"""`python -m workers` as a real process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self


class WorkerProcess:
    """A worker, and what it logs. Leaving the context kills what still runs."""

    def __init__(self, environ: Mapping[str, str], log: Path) -> None:
        bare = {name: value for name, value in os.environ.items() if not name.startswith("BINDERY_")}
        self._log = log
        with log.open("ab") as stderr:
            self._process = subprocess.Popen([sys.executable, "-m", "workers"], env={**bare, **environ}, stderr=stderr)

    @property
    def output(self) -> str:
        """Everything logged so far."""
        return self._log.read_text()

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Signal it."""
        self._process.send_signal(number)

    def wait(self, timeout: float = 20) -> int:
        """Its exit status, once it has ended by itself; for an end by signal, minus its number."""
        return self._process.wait(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.running:
            self._process.kill()
            self._process.wait()
