"""An API process as it runs in production, on a port that only it has had."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from service.settings.loading import LISTEN_FD

_PATIENCE = 20


@contextmanager
def api_process(environ: Mapping[str, str], directory: Path) -> Iterator[str]:
    """Runs ``bindery api`` and answers its URL. The socket is made here and handed over, as ``bindery up`` does it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BINDERY_")}
    with socket.create_server(("127.0.0.1", 0)) as listener, (directory / "api.log").open("wb") as log:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        fd = listener.fileno()
        process = subprocess.Popen(
            [sys.executable, "-m", "service.cli", "api"],
            env={**inherited, **environ, LISTEN_FD: str(fd)},
            pass_fds=(fd,),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            # The socket listens already: the first request waits until the process has come up.
            httpx.get(f"{url}/livez", timeout=_PATIENCE).raise_for_status()
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
