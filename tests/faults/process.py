"""One process of the service, at the tests' mercy."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


class Footprint(NamedTuple):
    """What a process holds: resident memory in MB, and file descriptors."""

    resident: float
    descriptors: int

    def __str__(self) -> str:
        return f"{self.resident:.1f} MB/{self.descriptors}"


def footprint(pid: int) -> Footprint:
    """What the process of this id holds now.

    Raises:
        OSError: there is none.
    """
    process = Path(f"/proc/{pid}")
    found = re.search(r"VmRSS:\s+(\d+) kB", (process / "status").read_text())
    if found is None:
        raise ProcessLookupError("it has ended, and nobody has taken note yet")
    return Footprint(int(found[1]) / 1024, len(list((process / "fd").iterdir())))


class Process:
    """One of our processes, and its log. It runs the packages of the directory ``code``; by default, this project's."""

    def __init__(
        self,
        name: str,
        command: list[str],
        environ: dict[str, str],
        log: Path,
        started: str = "",
        code: Path | None = None,
    ) -> None:
        self.name, self._command, self._environ, self._log = name, command, environ, log
        self._code = code
        self._started = re.compile(started.encode())
        self._process: subprocess.Popen[bytes] | None = None
        self._fds: tuple[int, ...] = ()
        self._logged = 0

    def inherit(self, fd: int) -> None:
        """Hand a file descriptor over at every start."""
        self._fds = (fd,)

    def start(self) -> None:
        """Start it, without waiting for anything."""
        self._logged = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self._command],
                env=self._environ,
                pass_fds=self._fds,
                cwd=self._code,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def status(self) -> int | None:
        """Its exit status, if it has ended."""
        return None if self._process is None else self._process.poll()

    def check(self) -> None:
        """Raise AssertionError, with the end of its log, if it does not run."""
        assert self.alive(), f"the {self.name} ended by itself:\n{self._log.read_text()[-3000:]}"

    def up(self) -> bool:
        """Whether it has said that it started."""
        self.check()
        with self._log.open("rb") as log:
            log.seek(self._logged)
            return self._started.search(log.read()) is not None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def stop(self) -> None:
        """Stop it in its tracks."""
        self.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        self.signal(signal.SIGCONT)

    def end(self) -> int | None:
        """End it as a service manager would; answers its exit status, if it ran."""
        if self._process is None or self._process.poll() is not None:
            return None
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()
        return self._process.returncode

    def footprint(self) -> Footprint:
        """What it holds now."""
        return footprint(self.pid)
