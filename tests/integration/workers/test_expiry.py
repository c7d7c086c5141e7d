"""What has not been seen for too long leaves, where there is a limit."""

from __future__ import annotations

import pytest

from service.domain.addresses import BindingType
from service.store.walks import Turns, Walk
from service.usecases.expiring import expire_step
from service.usecases.looking_up import look_up
from service.usecases.registering import Request, register
from tests.integration.workers.bench import Bench

DAY = 86_400
AHEAD = -2 * 3600
"""A limit of less than nothing: as if these hours had gone by."""


@pytest.fixture
def turns(bench: Bench) -> Turns:
    """At the beginning of a walk."""
    return Turns(bench.service.section, Walk.STALE)


async def held(bench: Bench) -> list[str]:
    """The addresses that a lookup of alice shows."""
    [(_, views)] = await look_up(bench.service, ["alice"])
    return [view.address for view in views]


async def test_what_is_not_seen_for_too_long_leaves(bench: Bench, turns: Turns) -> None:
    """It is removed as by a delete, and nothing is left of it; messaging has no app that could be seen."""
    await bench.login("alice", "token", "phone")
    await register(bench.service, Request(identity="alice", kind=BindingType.SMS, address="+15005550006"))
    await bench.drain_all()
    assert await expire_step(bench.service, turns, AHEAD) == 1
    assert await held(bench) == ["+15005550006"]
    await bench.drain_all()
    assert await bench.service.reading.registration(bench.service.fingerprints.address("token")) is None
    assert await bench.depth() == 0


async def test_what_was_seen_stays(bench: Bench, turns: Turns) -> None:
    """And there is one step at a time in all processes."""
    await bench.login("alice", "token", "phone")
    assert await expire_step(bench.service, turns, DAY) == 0
    assert await expire_step(bench.service, turns, AHEAD) is None
    assert await held(bench) == ["token"]


async def test_it_may_register_again(bench: Bench, turns: Turns) -> None:
    """No logout: nothing is fenced."""
    await bench.login("alice", "token", "phone")
    assert await expire_step(bench.service, turns, AHEAD) == 1
    await bench.login("alice", "token", "phone")
    assert await held(bench) == ["token"]
