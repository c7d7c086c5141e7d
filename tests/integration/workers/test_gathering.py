"""A busy lane's drain waits for company, and nothing is missed or asked for twice meanwhile."""

from __future__ import annotations

import pytest

from service.domain.jobs import Lane
from tests.integration.workers.bench import Bench
from workers.pace import Pace


async def test_what_comes_while_a_drain_waits_for_company_asks_for_no_job(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is applied by the same job, and the one after the last of it is woken for again."""
    asked: list[bytes] = []
    monkeypatch.setattr(bench.service, "wake", lambda wake, _=None: asked.append(wake))
    await bench.login("alice", "token-0")
    lane, waited = bench.lane("token-0"), 0
    alike = (t for t in (f"token-{n}" for n in range(1, 1000)) if bench.lane(t) == lane)

    class Waits(Pace):
        def wait_for(self, lane: Lane, taken: int, most: int) -> float:  # noqa: ARG002
            nonlocal waited
            waited += 1
            return 0.01 if waited <= 3 else 0.0

    async def sleep(_: float) -> None:
        await bench.login("bob", next(alike))

    with monkeypatch.context() as patch:
        patch.setattr("workers.drain.asyncio.sleep", sleep)
        await bench.drain(lane, pace=Waits(lambda: True))
    assert [bool(wake) for wake in asked] == [True, False, False, False]
    assert await bench.depth() == 0
    await bench.login("carol", next(alike))
    assert asked[-1]
