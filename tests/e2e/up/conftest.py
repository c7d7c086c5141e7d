import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

PATIENCE = 30.0


class Up:
    """A running `bindery up` and the lines it prints. Leaving the context stops what still runs."""

    def __init__(self, data_dir: Path, **environ: str) -> None:
        self.data_dir = data_dir
        self.environ = self.environment(data_dir, **environ)
        self.printed: list[str] = []
        self._url: str | None = None
        self._arrived: queue.Queue[str | None] = queue.Queue()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "service.cli", "up"],
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @staticmethod
    def environment(data_dir: Path, **settings: str) -> dict[str, str]:
        """That of this process, without settings but the given ones and what keeps it apart from others."""
        bare = {name: value for name, value in os.environ.items() if not name.startswith("BINDERY_")}
        return {**bare, "BINDERY_DATA_DIR": str(data_dir), "BINDERY_PORT": "0", **settings}

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self._arrived.put(line)
        self._arrived.put(None)

    def line(self, pattern: str) -> re.Match[str]:
        """The next line that matches; the test fails if the output ends first, or time runs out."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                line = self._arrived.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                pytest.fail(f"no line like {pattern!r} in:\n{''.join(self.printed)}")
            self.printed.append(line)
            found = re.search(pattern, line)
            if found:
                return found

    def rest(self) -> list[str]:
        """The lines from here to the end of the output; it has been stopped."""
        return list(iter(self._arrived.get_nowait, None))

    def url(self) -> str:
        """The base URL, once it serves and the welcome is complete."""
        if self._url is None:
            self._url = self.line(r"serves at (\S+)")[1]
            self.line(r"bindings\.list")
        return self._url

    def commands(self) -> list[str]:
        """The curl commands of the welcome, as a newcomer copies them."""
        self.url()
        return re.findall(r"^  (curl (?:.*\\\n)*.*)$", "".join(self.printed), re.MULTILINE)

    def children(self) -> dict[str, int]:
        """Process id by what the child runs."""
        found: dict[str, int] = {}
        for pid, parent, line in processes():
            if parent == self.process.pid:
                kinds = {
                    "valkey": "valkey-server|unixsocket",
                    "api": r"service\.cli\0api",
                    "worker": "workers",
                }
                found |= {kind: pid for kind, pattern in kinds.items() if re.search(pattern, line)}
        return found

    def stop(self, number: int = signal.SIGINT) -> int:
        """Signal it, and answer its exit status.

        Raises subprocess.TimeoutExpired if it does not end in time; then it has been killed.
        """
        self.process.send_signal(number)
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            # Its children end with it.
            self.process.kill()
            self.process.wait()
            raise
        self._reader.join(PATIENCE)
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            status = self.stop(signal.SIGTERM)
            # What the test itself has to say goes before.
            assert status == 0 or kind is not None, f"it ended with status {status}"


def shell(command: str) -> str:
    """What a command prints."""
    return subprocess.run(["sh", "-c", command], check=True, capture_output=True, text=True, timeout=PATIENCE).stdout


def processes() -> list[tuple[int, int, str]]:
    """Process id, parent and command line of every living process."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                if state != "Z":
                    found.append((int(entry.name), int(parent), (entry / "cmdline").read_text(errors="replace")))
    return found


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Where this test's `bindery up` keeps its things."""
    return tmp_path / "data"


@pytest.fixture
def up(data_dir: Path) -> Iterator[Up]:
    """A `bindery up` with a port and data of its own; the test waits for what it needs."""
    with Up(data_dir) as running:
        yield running


@pytest.fixture(scope="package")
def shared_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A `bindery up` that serves, for tests that do it no harm: a start and a stop take most of a test's time."""
    with Up(tmp_path_factory.mktemp("up") / "data") as running:
        running.url()
        yield running
