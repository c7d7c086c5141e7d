"""`bindery dead` over a real store."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.backends import Failure
from service.bootstrap import runtime
from service.cli import main
from service.domain.record import State
from service.settings import load
from tests.integration.workers.bench import SERVICE, Bench, Troubled, environment
from tests.servers.valkey import ValkeyServer


class Desk:
    """The command line, on a store where two registrations have failed for good."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.environ = environ

    def run(self, *arguments: str) -> Result:
        """`bindery dead …`."""
        return CliRunner().invoke(main, ["dead", *arguments], env=self.environ)

    def names(self) -> list[str]:
        """Of the dead letters, as listed."""
        return [letter["name"] for letter in json.loads(self.run("list", "--json").output)]

    def states(self) -> list[State]:
        """Of the two registrations, once a worker has had its turn."""

        async def look() -> list[State]:
            async with runtime(load(self.environ)) as running:
                bench = Bench(running)
                await bench.drain_all()
                return [State((await bench.record(address)).notify) for address in ("one", "two")]

        return asyncio.run(look())


@pytest.fixture
def desk(valkey: ValkeyServer, tmp_path: Path) -> Desk:
    """Two registrations that an upstream refused."""
    environ = {**environment(valkey.url), "BINDERY_DATA_DIR": str(tmp_path)}

    async def fail() -> None:
        async with runtime(load(environment(valkey.url))) as running:
            bench = Bench(running)
            bench.service.notify = Troubled(lambda _: Failure("upstream answered 400", final=True))
            for address in ("one", "two"):
                await bench.login(f"of-{address}", address)
            await bench.drain_all()

    asyncio.run(fail())
    return Desk(environ)


def test_they_are_listed(desk: Desk) -> None:
    """When, where, under which name and why; no address."""
    listed = desk.run("list")
    assert listed.exit_code == 0
    heading, *lines = listed.output.splitlines()
    assert heading.split() == ["WHEN", "LEDGER", "SERVICE", "NAME", "REASON"]
    assert [line.split()[1:3] for line in lines] == [["notify", "default"]] * 2
    assert all(line.endswith("upstream answered 400") for line in lines)


def test_one_is_tried_again(desk: Desk) -> None:
    """It is applied by the next worker; the other stays dead."""
    first, second = desk.names()
    done = desk.run("retry", first)
    assert (done.exit_code, first in done.output, second in done.output) == (0, True, False)
    assert desk.names() == [second]
    assert sorted(desk.states()) == [State.APPLIED, State.FAILED]


def test_all_are_tried_again(desk: Desk) -> None:
    """After an upstream's fault has been mended, one command is enough."""
    assert desk.run("retry", "--all").exit_code == 0
    assert desk.names() == []
    assert desk.states() == [State.APPLIED, State.APPLIED]


def test_dropped_ones_stay_failed(desk: Desk) -> None:
    """Dropping forgets the letter, and tries nothing."""
    assert desk.run("drop", "--all", "--service", SERVICE).exit_code == 0
    assert desk.run("list").output == "no dead letters\n"
    assert desk.states() == [State.FAILED, State.FAILED]


@pytest.mark.parametrize("verb", ["retry", "drop"])
def test_an_unknown_name_is_status_1(desk: Desk, verb: str) -> None:
    """And changes nothing."""
    done = desk.run(verb, "n" + "0" * 24)
    assert done.exit_code == 1
    assert "there is no dead letter" in done.output
    assert len(desk.names()) == 2


@pytest.mark.parametrize("arguments", [(), ("n00", "--all")])
def test_either_a_name_or_all(desk: Desk, arguments: tuple[str, ...]) -> None:
    """Nothing is dropped by a slip of the keyboard."""
    assert desk.run("drop", *arguments).exit_code == 2
    assert len(desk.names()) == 2


def test_an_unknown_service_is_status_1(desk: Desk) -> None:
    """A clear line, no traceback."""
    done = desk.run("list", "--service", "shop")
    assert (done.exit_code, done.output) == (1, "Error: no such Service; there are: default\n")


def test_a_store_that_is_away_is_status_1(desk: Desk, tmp_path: Path) -> None:
    """A clear line, no traceback."""
    desk.environ["BINDERY_REDIS_URL"] = desk.environ["BINDERY_QUEUE_URL"] = f"unix://{tmp_path}/none"
    desk.environ["BINDERY_REDIS_TIMEOUT"] = "0.2"
    done = desk.run("list")
    assert done.exit_code == 1
    assert done.output.startswith("Error: The store cannot be reached")


def test_what_is_logged_does_not_go_between_the_data(desk: Desk, tmp_path: Path) -> None:
    """`bindery dead retry --all --json | jq` works, also while the queue is away."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("BINDERY_")}
    environ = {**own, **desk.environ, "BINDERY_QUEUE_URL": f"unix://{tmp_path}/none"}
    command = [sys.executable, "-m", "service.cli", "dead", "retry", "--all", "--json"]
    done = subprocess.run(command, env=environ, capture_output=True, check=True)
    assert len(json.loads(done.stdout)) == 2
    assert b"wake_lost" in done.stderr
