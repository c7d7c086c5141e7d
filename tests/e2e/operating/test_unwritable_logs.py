"""Logs that cannot be written: their disk is full, whoever read them has died, or there is no standard error."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.servers.valkey import free_port, wait_until

CLOSED = ["sh", "-c", 'exec "$@" 2>&-', "sh"]
PATIENCE = 60.0


@contextmanager
def full() -> Iterator[int]:
    """A log file whose disk is full."""
    with Path("/dev/full").open("wb") as file:
        yield file.fileno()


@contextmanager
def unread() -> Iterator[int]:
    """A pipe whose reader has died."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        yield writer
    finally:
        os.close(writer)


Start = Callable[[list[str], dict[str, str]], subprocess.Popen[bytes]]


@pytest.fixture(params=["full", "unread", "closed"])
def start(request: pytest.FixtureRequest) -> Iterator[Start]:
    """Starts a process whose standard error is of each kind in turn; what still runs in the end is killed."""
    before = CLOSED if request.param == "closed" else []
    started: list[subprocess.Popen[bytes]] = []

    with (unread if request.param == "unread" else full)() as log:

        def begin(module: list[str], environ: dict[str, str]) -> subprocess.Popen[bytes]:
            own = {name: value for name, value in os.environ.items() if not name.startswith("BINDERY_")}
            command = [*before, sys.executable, "-m", *module]
            started.append(subprocess.Popen(command, env={**own, **environ}, stderr=log))
            return started[-1]

        yield begin
    for process in started:
        process.kill()
        process.wait()


def is_ready(process: subprocess.Popen[bytes], url: str) -> bool:
    """Whether it says so."""
    assert process.poll() is None, f"it has ended with status {process.returncode}"
    try:
        return httpx.get(f"{url}/readyz", timeout=PATIENCE).status_code == 200
    except httpx.TransportError:
        return False


def test_the_api_answers_as_ever(environ: dict[str, str], start: Start) -> None:
    """What is not found is 404, and a connection is kept: none is closed without saying so."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    api = start(["service.cli", "api"], {**environ, "BINDERY_PORT": str(port)})
    wait_until(lambda: is_ready(api, url), "it is ready", PATIENCE)
    connections, statuses = set(), []
    with httpx.Client(base_url=url) as client:
        for path in ("/version", "/version", "/nowhere", "/version"):
            with client.stream("GET", path) as answer:
                statuses.append(answer.status_code)
                connections.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
                answer.read()
    assert statuses == [200, 200, 404, 200]
    assert len(connections) == 1
    api.send_signal(signal.SIGTERM)
    assert api.wait(PATIENCE) == 0


def test_a_worker_works(environ: dict[str, str], start: Start) -> None:
    """It becomes ready, stays, and stops as ever."""
    port = free_port()
    worker = start(["workers"], {**environ, "BINDERY_METRICS_PORT": str(port)})
    wait_until(lambda: is_ready(worker, f"http://127.0.0.1:{port}"), "it is ready", PATIENCE)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(PATIENCE) == 0
