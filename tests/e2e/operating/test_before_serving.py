"""What an API or a worker cannot work with it names, with how to mend it, before it serves; and then it ends."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from tests.e2e.compatible.deployment import SERVICE, TOKEN
from tests.faults.process import Process
from tests.servers.valkey import ValkeyServer, free_port, wait_until

pytestmark = pytest.mark.slow

COMMANDS = {"api": ["service.cli", "api"], "worker": ["workers"]}
REFUSED, SETTINGS, ELSE = 1, 2, 3
"""Exit statuses."""
PATIENCE = 30.0


class Started:
    """A process, the port on which it would serve, or answer probes, and what it has said."""

    def __init__(self, kind: str, environ: dict[str, str], directory: Path) -> None:
        self.port, self._log = free_port(), directory / f"{kind}.log"
        own = {name: value for name, value in os.environ.items() if not name.startswith("BINDERY_")}
        serving = "BINDERY_PORT" if kind == "api" else "BINDERY_METRICS_PORT"
        self.process = Process(kind, COMMANDS[kind], {**own, serving: str(self.port), **environ}, self._log)
        self.process.start()

    @property
    def said(self) -> str:
        """All of it."""
        return self._log.read_text()

    def events(self, name: str) -> list[dict[str, str]]:
        """The lines of one kind."""
        lines = [line for line in self.said.splitlines(keepends=True) if line.startswith("{") and line.endswith("}\n")]
        return [event for event in map(msgspec.json.decode, lines) if event["event"] == name]

    def serves(self) -> bool:
        """Whether somebody listens at its port."""
        with socket.socket() as caller:
            return caller.connect_ex(("127.0.0.1", self.port)) == 0

    def ended(self) -> int | None:
        """Its exit status, once it has ended by itself."""
        wait_until(lambda: not self.process.alive(), f"it has ended: {self.said}", PATIENCE)
        return self.process.status


Start = Callable[..., Started]


@pytest.fixture
def own() -> Iterator[ValkeyServer]:
    """A server of the test's own."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture(params=COMMANDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of process in turn."""
    return str(request.param)


@pytest.fixture
def start(kind: str, environ: dict[str, str], own: ValkeyServer, tmp_path: Path) -> Iterator[Start]:
    """Starts one on the test's own server."""
    started: list[Started] = []

    def begin(**more: str) -> Started:
        given = {**environ, "BINDERY_REDIS_URL": own.url, "BINDERY_LOG_FORMAT": "json", **more}
        started.append(Started(kind, {name: value for name, value in given.items() if value}, tmp_path))
        return started[-1]

    yield begin
    for one in started:
        one.process.end()


def test_a_missing_secret(start: Start) -> None:
    """Named, with what it is."""
    started = start(BINDERY_SECRET_KEY="", BINDERY_JWT_SECRET="")
    assert started.ended() == SETTINGS
    assert "BINDERY_SECRET_KEY must be set (The key of the fingerprints, 32 bytes or more" in started.said
    assert "BINDERY_JWT_SECRET must be set (HS256 secret of the apps' tokens, 32 bytes or more" in started.said
    assert "Traceback" not in started.said


def test_a_secret_whose_file_is_missing(start: Start, tmp_path: Path) -> None:
    """Likewise, with the directory in which it is looked for."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    started = start(BINDERY_SECRET_KEY="", BINDERY_SECRETS_DIR=str(folder))
    assert started.ended() == SETTINGS
    assert f"or be a file of that name in {folder}" in started.said


def test_a_store_that_evicts(start: Start, own: ValkeyServer) -> None:
    """Its policy, and the command that sets the right one; nothing was written."""
    own.call("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
    started = start()
    assert started.ended() == REFUSED
    [refused] = started.events("store_refused")
    assert "maxmemory-policy volatile-lru" in refused["detail"]
    assert "CONFIG SET maxmemory-policy noeviction" in refused["detail"]
    assert "Traceback" not in started.said
    assert own.call("DBSIZE") == 0


def test_a_store_of_another_key(kind: str, start: Start) -> None:
    """That it is the key, and which one to start with."""
    first = start()
    wait_until(first.serves, "it serves", PATIENCE)
    wait_until(lambda: kind == "api" or bool(first.events("worker_started")), "it has opened the store", PATIENCE)
    first.process.end()
    started = start(BINDERY_SECRET_KEY="y" * 40)
    assert started.ended() == REFUSED
    [refused] = started.events("store_refused")
    assert refused["detail"] == "The store was written under another BINDERY_SECRET_KEY: start with that one"
    assert "Traceback" not in started.said


def test_an_upstream_that_is_not_there(kind: str, start: Start) -> None:
    """Its Service and URL and what to look at; then it serves all the same, for what is owed to it waits."""
    url = f"http://127.0.0.1:{free_port()}"
    started = start(
        BINDERY_SERVICES_FILE="",
        BINDERY_SERVICE_SID=SERVICE,
        BINDERY_NOTIFY_UPSTREAM_URL=url,
        BINDERY_UPSTREAM_USER="AC" + "1" * 32,
        BINDERY_UPSTREAM_SECRET=TOKEN,
    )
    if kind == "api":
        wait_until(started.serves, "it serves", PATIENCE)
    else:
        wait_until(lambda: bool(started.events("worker_started")), "it works", PATIENCE)
    [fault] = started.events("upstream_at_fault")
    assert (fault["service_name"], fault["api"], fault["url"]) == ("default", "notify", url)
    assert "is its URL right, and may this process get there" in fault["detail"]
    assert TOKEN not in started.said


def test_a_port_that_is_taken(start: Start) -> None:
    """Neither the settings nor the store are at fault; the setting that names another is named."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        started = start(BINDERY_METRICS_PORT=str(taken.getsockname()[1]))
        assert started.ended() == ELSE
    [failed] = started.events("cannot_listen")
    assert failed["setting"] == "BINDERY_METRICS_PORT"


@pytest.mark.parametrize("kind", ["api"], indirect=True)
def test_the_port_of_the_api_is_taken(start: Start) -> None:
    """Likewise."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        started = start(BINDERY_PORT=str(taken.getsockname()[1]))
        assert started.ended() == ELSE
    [failed] = started.events("cannot_listen")
    assert failed["setting"] == "BINDERY_PORT"


def test_a_signal_at_any_moment_of_the_start_ends_it(start: Start) -> None:
    """However early it comes: none is lost."""
    for hundredths in range(10, 100, 30):
        started = start()
        time.sleep(hundredths / 100)
        started.process.signal(signal.SIGTERM)
        assert started.ended() in {0, -signal.SIGTERM}
