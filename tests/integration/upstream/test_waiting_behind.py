"""A removal that waits for the binding in its place does not ask for it all the time."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.integration.upstream.pair import Pair
from tests.servers.fault_proxy import Kind


async def test_while_that_is_refused_it_is_looked_at_less_and_less(pair: Pair) -> None:
    """A firewall refuses the new one, which may last for days."""
    await pair.bind("alice", "token-1", "phone")
    await pair.converge()
    pair.proxy.refuse("Address=token-2", status=403, code=None)
    await pair.bind("alice", "token-2", "phone")
    looks, end = 0, time.monotonic() + 4
    take = pair.upstream.ledger.take

    async def counted(*args: object) -> object:
        nonlocal looks
        lease = await take(*args)  # type: ignore[arg-type]
        looks += sum(t.record.address == "token-1" for t in lease.taken) if lease else 0
        return lease

    pair.upstream.ledger.take = counted  # type: ignore[method-assign,assignment]
    while time.monotonic() < end:
        await pair.drain_notify()
        await asyncio.sleep(0.05)
    assert looks < 3 * pair.proxy.faults[Kind.REFUSAL]
    pair.proxy.calm()
    await pair.converge()
    assert await pair.owners() == {"token-2": "alice"}


@pytest.mark.usefixtures("quick_backoff")
async def test_what_was_somebody_elses_does_not_wait_for_ever(pair: Pair) -> None:
    """It would reach the device of who has it now."""
    await pair.bind("alice", "token-1", "phone")
    await pair.converge()
    pair.proxy.refuse("Address=token-2", status=403, code=None)
    await pair.bind("bob", "token-2", "phone")

    async def gone() -> bool:
        return not await pair.bindings("alice")

    await pair.drain_until(gone)
