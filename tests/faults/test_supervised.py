"""`bindery up` under load, its children killed at random: it brings them back by itself."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from service.cli import socket_path
from tests.e2e.up.conftest import Up
from tests.faults.proving import prove
from tests.faults.running import SETTINGS, Running, until

pytestmark = pytest.mark.slow


class Supervised(Running):
    """A `bindery up` on an empty data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._socket = str(socket_path.choose(data_dir))
        self.up = Up(data_dir, **SETTINGS)
        where = urlsplit(self.up.url())
        assert where.hostname is not None
        assert where.port is not None
        self.addresses = [(where.hostname, where.port)]

    def ask(self, *words: str | bytes) -> object:
        """One command to the store, over a connection of its own."""
        with redis.Redis(unix_socket_path=self._socket, socket_timeout=5) as client:
            answer: object = client.execute_command(*words)
            return answer

    def pids(self) -> dict[str, int]:
        """Process ids by what they are called."""
        return {**self.up.children(), "supervisor": self.up.process.pid}

    def check(self) -> None:
        """Raise AssertionError if the supervisor does not run."""
        assert self.up.process.poll() is None


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    """A `bindery up` of this test's own."""
    running = Supervised(tmp_path / "data")
    try:
        yield running
    finally:
        assert running.up.stop() == 0


async def kill_children(deployment: Supervised, dice: random.Random) -> None:
    """SIGKILL of some children at once; all of them come back."""
    children = deployment.up.children()
    killed = dice.sample(sorted(children), dice.randint(1, len(children)))
    for name in killed:
        os.kill(children[name], signal.SIGKILL)

    def back() -> bool:
        now = deployment.up.children()
        return all(now.get(name, children[name]) != children[name] for name in killed)

    await until(lambda: asyncio.to_thread(back), f"{', '.join(killed)} run again")
    await deployment.ready()


def test_nothing_answered_is_lost_when_children_are_killed(supervised: Supervised) -> None:
    """The supervisor starts them again, and the history keeps the contract."""
    prove(supervised, kill_children, times=2)


@pytest.mark.proof
def test_nothing_answered_is_lost_in_the_long_run(supervised: Supervised) -> None:
    """The same, time and again, until the supervisor's backoff is long."""
    prove(supervised, kill_children, times=5)
