"""`bindery up` whose output nobody reads, or which nobody is to end by closing a terminal."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from tests.e2e.up.conftest import PATIENCE, Up, processes
from tests.servers.valkey import free_port, wait_until


class Piped:
    """A `bindery up` that is started as a shell does it, its output a pipe."""

    def __init__(self, data_dir: Path, script: str = 'exec "$@"') -> None:
        self._port = free_port()
        self._reader, writer = os.pipe()
        self.process = subprocess.Popen(
            ["sh", "-c", script, "sh", sys.executable, "-m", "service.cli", "up"],
            env=Up.environment(data_dir, BINDERY_PORT=str(self._port)),
            stdout=writer,
            stderr=writer,
        )
        os.close(writer)

    def until_ready(self) -> None:
        """Return once it has said that it serves."""
        said = b""
        while b"bindings.list" not in said:
            read = os.read(self._reader, 65536)
            assert read, said.decode()
            said += read

    def close(self) -> None:
        """Nobody reads any more."""
        os.close(self._reader)
        self._reader = -1

    def serves(self) -> bool:
        """Whether it answers."""
        assert self.process.poll() is None, f"it has ended with status {self.process.returncode}"
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{self._port}/readyz", timeout=PATIENCE).status_code == 200
        return False

    def worker(self) -> int | None:
        """The process id of its worker, if one runs."""
        assert self.process.poll() is None, f"it has ended with status {self.process.returncode}"
        found = [pid for pid, parent, line in processes() if parent == self.process.pid and "-m\0workers" in line]
        return found[0] if found else None

    def stop(self) -> int:
        """Its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE)
        finally:
            if self._reader >= 0:
                self.close()


def check_that_a_worker_comes_back(up: Piped) -> None:
    """One that is killed is started again."""
    wait_until(lambda: up.worker() is not None, "a worker runs", PATIENCE)
    before = up.worker()
    assert before is not None
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: up.worker() not in (None, before), "another worker runs", PATIENCE)


def test_a_child_is_started_again_though_nobody_can_be_told(data_dir: Path) -> None:
    """`bindery up 2>&1 | tee log`, and tee has died: everything goes on, and stops as ever."""
    up = Piped(data_dir)
    try:
        up.until_ready()
        up.close()
        check_that_a_worker_comes_back(up)
    finally:
        status = up.stop()
    assert status == 0


def test_it_serves_though_its_welcome_cannot_be_written(data_dir: Path) -> None:
    """`bindery up | head -1`, or a log file whose disk is full."""
    up = Piped(data_dir)
    try:
        up.close()
        wait_until(up.serves, "it serves", PATIENCE)
        check_that_a_worker_comes_back(up)
    finally:
        status = up.stop()
    assert status == 0


def test_nohup_is_kept_to(data_dir: Path) -> None:
    """`nohup bindery up &`: a terminal that is closed does not end it."""
    up = Piped(data_dir, 'exec nohup "$@"')
    try:
        up.until_ready()
        up.process.send_signal(signal.SIGHUP)
        check_that_a_worker_comes_back(up)
    finally:
        status = up.stop()
    assert status == 0


def test_no_file_takes_the_place_of_a_closed_standard_error(data_dir: Path) -> None:
    """The data directory's lock and the sockets get other numbers: no log is written to them."""
    up = Piped(data_dir, 'exec "$@" 2>&-')
    try:
        up.until_ready()
        check_that_a_worker_comes_back(up)
        assert (data_dir / "lock").read_text() == str(up.process.pid)
    finally:
        status = up.stop()
    assert status == 0
