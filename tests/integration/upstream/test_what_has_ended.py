"""Who lost an address, or logged out, does not come back by what the upstream still holds (contract 2)."""

from __future__ import annotations

import pytest

from service.usecases.ending import log_out
from service.usecases.upstream.walking import walk_step
from tests.integration.upstream.pair import Pair
from tests.servers.fault_proxy import Fault, Kind

pytestmark = pytest.mark.usefixtures("quick_backoff")


async def walked(pair: Pair) -> bool:
    """Whether anybody is shown for "token" after the audit's walk, two minutes later: its departure is forgotten."""
    anchor = pair.service.section.anchor
    key = anchor + b":z" + pair.service.fingerprints.address("token")
    await pair.running.store.command("DEL", key, key=anchor)
    await walk_step(pair.service, pair.upstream)
    record = await pair.maybe("token")
    return record is not None and bool(record.channels)


async def test_a_delete_that_somebody_else_answers_with_200_is_in_doubt(pair: Pair) -> None:
    """A proxy's page with 200, while what is behind it is away, is no 204 of the API's."""
    await pair.bind("alice", "token", "phone")
    await pair.converge()
    pair.proxy.script("DELETE", Fault(Kind.REFUSAL, status=200))
    await log_out(pair.service, "alice", device_id="phone")
    await pair.converge()
    assert not await walked(pair)
    assert await pair.bindings() == []


async def test_a_removal_that_is_dropped_does_not_come_back(pair: Pair) -> None:
    """`bindery dead drop` gives up the delete there; the logout was answered all the same."""
    await pair.bind("alice", "token", "phone")
    await pair.converge()
    pair.proxy.script("DELETE", Fault(Kind.REFUSAL, status=400))
    await log_out(pair.service, "alice", device_id="phone")
    await pair.converge()
    [letter] = await pair.service.ledgers.dead_letters()
    await pair.service.ledgers.drop(letter)
    assert not await walked(pair)


@pytest.mark.parametrize("others", [3, 17])
async def test_a_shared_device_in_an_outage(pair: Pair, others: int) -> None:
    """The first login reached the upstream unseen, then it was down; others came and went; the last one logged out."""
    await pair.bind("alice", "token", "phone")
    await pair.converge()
    pair.proxy.script("POST", Fault(Kind.LOST_ANSWER))
    await pair.bind("first", "token", "phone")
    await pair.drain_until_posted(2)
    await pair.proxy.down()
    for n in range(others):
        await pair.bind(f"shift-{n}", "token", "phone")
    await log_out(pair.service, f"shift-{others - 1}", device_id="phone")
    await pair.proxy.up()
    await pair.converge(60)
    left = await pair.owners()
    assert not await walked(pair)
    assert left == {}
