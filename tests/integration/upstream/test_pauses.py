"""What a job does while an upstream is to be left alone."""

from __future__ import annotations

import asyncio
import time

from tests.integration.upstream.pair import Pair

TOKEN = "fcm-token-of-a-device"


async def test_a_short_pause_is_waited_for(pair: Pair) -> None:
    """The job goes on after it: nobody has to wake the lane again."""
    await pair.upstream.account.admission.hold(0.2)
    await pair.bind("alice", TOKEN)
    await pair.drain(pair.lane(TOKEN))
    assert await pair.applied([TOKEN])


async def test_a_long_pause_ends_the_job(pair: Pair) -> None:
    """It would keep others from their turn for nothing."""
    await pair.upstream.account.admission.hold(30)
    await pair.bind("alice", TOKEN)
    began = time.monotonic()
    await pair.drain(pair.lane(TOKEN))
    assert time.monotonic() - began < 1
    assert pair.proxy.seen == []


async def test_a_worker_that_is_to_stop_waits_for_no_upstream(pair: Pair) -> None:
    """Its job ends at once."""
    await pair.upstream.account.admission.hold(1.8)
    await pair.bind("alice", TOKEN)
    began = time.monotonic()
    waiting = asyncio.create_task(pair.drain(pair.lane(TOKEN)))
    await asyncio.sleep(0.05)
    pair.stopping.set()
    await waiting
    assert time.monotonic() - began < 1
