"""A job that is stopped in a Chat batch has the time for one wait for the store, however many identities it holds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count, islice

import pytest

from service.domain.jobs import LANES, Lane, Ledger
from service.domain.record import Channel
from tests.integration.upstream.pair import Pair
from tests.servers.fault_proxy import Fault, Kind
from workers.batches import Tally
from workers.upstream_chat import chat_batch


async def test_identities_are_handed_back_together(chat: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """None waits for another's turn."""
    prints, waiting, all_there = chat.service.fingerprints, 0, asyncio.Event()
    for identity in islice((f"u{n}" for n in count() if prints.owner(f"u{n}")[2] % LANES == 0), 3):
        await chat.bind(identity, f"t-{identity}", "phone", channels=Channel.CHAT, endpoint=f"e-{identity}")

    async def slow(_: Callable[[], Awaitable[object]]) -> None:
        nonlocal waiting
        waiting += 1
        if waiting == 3:
            all_there.set()
        await asyncio.wait_for(all_there.wait(), 5)

    monkeypatch.setattr("workers.upstream_chat.hand_back", slow)
    chat.proxy.script("GET", Fault(Kind.NEVER))
    upstream, lane = chat.service.chat_upstream, Lane(chat.service.sid, Ledger.CHAT, 0)
    assert upstream is not None
    work = asyncio.create_task(chat_batch(chat.service, upstream, lane, 32, Tally()))
    await chat.proxy.met(Kind.NEVER)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert waiting == 3
