"""A breaker that has opened closes again once the upstream is back, whether anything is owed there or not."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from service.backends.twilio import Attempt, NotDone
from service.usecases.upstream.probing import probe_step
from tests.integration.upstream.pair import Pair
from tests.servers.valkey import ValkeyServer
from tests.waiting import eventually


async def state_of(pair: Pair) -> str:
    """The breaker's."""
    return (await pair.upstream.account.admission.health()).state


async def tripped(pair: Pair, valkey: ValkeyServer) -> None:
    """Open it, as calls that fail do, and let its pause be over."""
    admission = pair.upstream.account.admission
    for _ in range(40):
        await admission.done(False, good=False)
    valkey.call("HSET", admission.key, "until", "0")
    assert await state_of(pair) == "probing"


async def test_the_audit_closes_it_where_nothing_is_owed(pair: Pair, valkey: ValkeyServer) -> None:
    """Lookups ask the upstream again then, and what they ask for in vain meanwhile is not lost for hours."""
    await tripped(pair, valkey)

    async def closed() -> bool:
        with suppress(NotDone):  # between two probes
            await probe_step(pair.upstream)
        return await state_of(pair) == "closed"

    await eventually(closed)
    count = len(pair.proxy.seen)
    assert count >= 3
    await probe_step(pair.upstream)
    assert len(pair.proxy.seen) == count


async def test_a_probe_that_was_not_sent_says_nothing(pair: Pair, valkey: ValkeyServer) -> None:
    """There was no time left to send it: the upstream may be as dead as before."""
    await tripped(pair, valkey)
    for _ in range(5):
        valkey.call("HSET", pair.upstream.account.admission.key, "probed", "0")
        with pytest.raises(NotDone):
            await pair.upstream.bindings.delete("BS" + "1" * 32, Attempt(time.monotonic()))
    assert await state_of(pair) == "probing"
    assert pair.proxy.seen == []
