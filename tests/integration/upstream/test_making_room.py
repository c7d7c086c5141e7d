"""At the upstream's cap a rotation waits for what makes room, however long that takes (contract 4)."""

from __future__ import annotations

import pytest

from service.domain.record import State
from tests.integration.upstream.pair import Pair
from tests.servers.fault_proxy import Fault, Kind
from tests.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_backoff")]


async def filled(pair: Pair) -> None:
    for n in range(20):
        await pair.bind("alice", f"token-{n}", f"phone-{n}")
    await pair.converge()


async def test_a_worker_that_is_killed_before_it_makes_room_costs_no_registration(pair: Pair) -> None:
    """Who was to delete the old binding is killed; its lease runs out, and then there is room."""
    await filled(pair)
    # In another lane than the old one, as seven of eight are.
    new = next(f"new-{n}" for n in range(100) if pair.lane(f"new-{n}") != pair.lane("token-7"))
    await pair.bind("alice", new, "phone-7")
    lease = await pair.upstream.ledger.take(pair.lane("token-7"), 32, pair.upstream.lease_ms)
    assert lease is not None
    assert len(lease.taken) == 1

    async def decided() -> bool:
        await pair.drain_notify()
        return (await pair.record(new)).notify in (State.APPLIED, State.FAILED)

    await eventually(decided, 60)
    await pair.converge(60)
    assert await pair.service.ledgers.dead_letters() == []
    assert new in await pair.owners()


async def test_a_slow_delete_costs_no_registration(pair: Pair) -> None:
    """Deletes there are put off for ten seconds, creates are not."""
    await filled(pair)
    pair.proxy.script("DELETE", Fault(Kind.REFUSAL, status=503, retry_after="10"))
    await pair.bind("alice", "new", "phone-7")
    await pair.converge(60)
    assert await pair.service.ledgers.dead_letters() == []
    assert "new" in await pair.owners()
