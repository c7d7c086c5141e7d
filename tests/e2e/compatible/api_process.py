"""An API process as it runs in production, on a port that only it has had."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from service.settings.loading import LISTEN_FD

_PATIENCE = 20
_LIVEZ = b"GET /livez HTTP/1.1\r\nHost: bindery\r\nConnection: close\r\n\r\n"


@contextmanager
def api_process(environ: Mapping[str, str], directory: Path) -> Iterator[str]:
    """Runs ``bindery api`` and answers its URL. The socket is made here and handed over, as ``bindery up`` does it.

    Leaving the context stops it: that it then ends in time and with status 0 is part of every test.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BINDERY_")}
    path = directory / "api.log"
    with socket.create_server(("127.0.0.1", 0)) as listener, path.open("wb") as log:
        fd = listener.fileno()
        process = subprocess.Popen(
            [sys.executable, "-m", "service.cli", "api"],
            env={**inherited, **environ, LISTEN_FD: str(fd)},
            pass_fds=(fd,),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            address = listener.getsockname()
            _come_up(process, address, path)
            yield f"http://127.0.0.1:{address[1]}"
            process.send_signal(signal.SIGTERM)
            status = process.wait(_PATIENCE)
            assert status == 0, f"it ended with status {status}:\n{_said(path)}"
        finally:
            process.kill()
            process.wait()


def _come_up(process: subprocess.Popen[bytes], address: tuple[str, int], log: Path) -> None:
    """Returns when it lives. Raises AssertionError if it ends instead, or in time does neither."""
    deadline = time.monotonic() + _PATIENCE
    with socket.create_connection(address) as connection:
        # The socket listens already, and here as well: a request waits there even when nobody is left to answer it.
        connection.sendall(_LIVEZ)
        while not select.select([connection], [], [], 0.05)[0]:
            assert process.poll() is None, f"it ended with status {process.returncode}:\n{_said(log)}"
            assert time.monotonic() < deadline, f"it is not up after {_PATIENCE} s:\n{_said(log)}"
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")


def _said(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]
