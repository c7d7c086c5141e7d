"""The programs under measurement: started, asked for their CPU time, stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_PATIENCE = 30.0
_TICKS = os.sysconf("SC_CLK_TCK")


class Program:
    """A child process that logs to a file. Leaving the context ends it."""

    def __init__(
        self,
        argv: Sequence[str],
        log: Path,
        *,
        environ: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        user: str | None = None,
        cwd: Path | None = None,
    ) -> None:
        bare = {name: value for name, value in os.environ.items() if not name.startswith("BINDERY_")}
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                argv,
                env={**bare, **(environ or {})},
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=pass_fds,
                user=user,
                cwd=cwd,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def output(self) -> str:
        """The end of what it has logged."""
        return self._log.read_text(errors="replace")[-2000:]

    def cpu_seconds(self) -> float:
        """CPU time that it and its children have taken."""
        return sum(cpu_seconds(pid) for pid in (self.pid, *children(self.pid)))

    def pause(self) -> None:
        """Stop it in its tracks."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def check(self) -> None:
        """Raises RuntimeError if it has ended."""
        if self._process.poll() is not None:
            raise RuntimeError(f"{self._process.args!r} ended: {self.output}")

    def wait(self, timeout: float = 600) -> int:
        """Its exit status, once it has ended by itself."""
        return self._process.wait(timeout)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it."""
        if self._process.poll() is None:
            self._process.send_signal(how)
            self._process.send_signal(signal.SIGCONT)
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def python(*words: str) -> list[str]:
    """The command line of a Python program."""
    return [sys.executable, *words]


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, user and system: to the nanosecond where the kernel keeps it, else to a tick of 10 ms."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").glob("*/schedstat"))
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9 if tasks else _by_ticks(pid)
    except FileNotFoundError:  # a thread that has just ended
        return _by_ticks(pid)


def _by_ticks(pid: int) -> float:
    # The command's name, in parentheses, may hold anything: fields count from behind it (proc(5): 14 and 15).
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def children(pid: int) -> list[int]:
    """The process ids of a process's children."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for_answer(port: int, path: str, program: Program) -> None:
    """Return once a server answers a GET of ``path`` with 2xx.

    Raises RuntimeError if the program ends, TimeoutError if it takes too long.
    """
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        program.check()
        if _answers(port, path):
            return
        time.sleep(0.02)
    raise TimeoutError(f"no answer at {path}: {program.output}")


def _answers(port: int, path: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            return connection.recv(64)[9:10] == b"2"
    except OSError:
        return False
