"""`bindery events` over a real store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from service.bootstrap import runtime
from service.cli import main
from service.settings import load
from service.usecases.ending import log_out
from tests.integration.workers.bench import Bench, environment
from tests.servers.valkey import ValkeyServer

ADDRESS = "a-token-that-nobody-may-see"


@pytest.fixture
def events(valkey: ValkeyServer, tmp_path: Path) -> Callable[..., Result]:
    """The command, on a store where bob has taken alice's device and has logged out."""
    environ = {**environment(valkey.url), "BINDERY_DATA_DIR": str(tmp_path)}

    async def happen() -> None:
        async with runtime(load(environment(valkey.url))) as running:
            bench = Bench(running)
            await bench.login("alice", ADDRESS, "phone")
            await bench.login("bob", ADDRESS, "phone")
            await bench.drain_all()
            await log_out(bench.service, "bob", device_id="phone")
            await bench.login("carol", "another", "tablet")

    asyncio.run(happen())
    return lambda *arguments: CliRunner().invoke(main, ["events", *arguments], env=environ)


def rows(result: Result) -> list[dict[str, Any]]:
    """What was printed as JSON."""
    assert result.exit_code == 0
    return [json.loads(line) for line in result.output.splitlines()]


def test_who_took_a_device_and_when_it_went(events: Callable[..., Result]) -> None:
    """Oldest first, by id, and without an address."""
    of_alice = rows(events("--identity", "alice", "--json"))
    assert [row["type"] for row in of_alice] == ["registered", "registered"]
    alice, bob = of_alice[0]["user_sid"], of_alice[1]["user_sid"]
    assert of_alice[1]["other_user_sid"] == alice
    of_bob = rows(events("--identity", "bob", "--json"))
    assert [(row["type"], row.get("reason")) for row in of_bob if row["user_sid"] == bob] == [
        ("registered", None), ("applied", None), ("removed", "logout"),
    ]  # fmt: skip
    readable = events()
    assert readable.exit_code == 0
    assert "logout" in readable.output
    assert f"other user {alice}" in readable.output
    assert ADDRESS not in readable.output


def test_the_last_ones(events: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as are asked for, however many the store is asked for at once."""
    monkeypatch.setattr("service.store.history._AT_ONCE", 2)
    everything = rows(events("--json"))
    assert len(everything) == 5
    assert [row["at"] for row in everything] == sorted(row["at"] for row in everything)
    assert rows(events("--json", "--count", "2")) == everything[-2:]


def test_nothing_of_a_stranger(events: Callable[..., Result]) -> None:
    """Nobody has heard of her."""
    assert events("--identity", "dora").output == "no events\n"
