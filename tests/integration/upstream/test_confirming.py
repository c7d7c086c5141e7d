"""Compatible writes wait for the upstream's word; whatever ends the wait, what was accepted goes on."""

from __future__ import annotations

import asyncio

import pytest

from service import lifecycle
from service.domain.addresses import BindingType
from service.domain.errors import BinderyError, StoreUnavailable, TooManyRequests, UpstreamSilent
from service.domain.record import Record, State
from service.usecases.registering import Request, wanted
from service.usecases.upstream import confirming
from tests.integration.upstream.pair import Pair
from tests.servers.fault_proxy import Fault, Kind
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("quick_backoff")

TOKEN = "token"


async def create(pair: Pair) -> Record:
    """A compatible create of the address."""
    upstream = pair.service.notify_upstream
    assert upstream is not None
    asked = Request(identity="alice", kind=BindingType.FCM, address=TOKEN)
    return await confirming.create(pair.service, upstream, wanted(pair.service, asked), None)


@pytest.mark.parametrize("error", [StoreUnavailable, TooManyRequests])
async def test_a_store_that_cannot_be_asked_says_nothing_of_what_was_accepted(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, error: type[BinderyError]
) -> None:
    """It would be a lie that nothing was changed; once it is back, so is the answer."""
    look, away = pair.service.reading.registration, asyncio.Event()
    failures = 0

    async def failing(fingerprint: bytes) -> Record | None:
        nonlocal failures
        if failures < 3:
            failures += 1
            away.set()
            raise error
        return await look(fingerprint)

    monkeypatch.setattr(pair.service.reading, "registration", failing)
    waiting = asyncio.create_task(create(pair))
    await away.wait()
    await pair.converge()
    assert (await waiting).notify == State.APPLIED
    assert failures == 3


async def test_who_waits_is_answered_when_the_process_stops(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the server would cut it off; the registration goes on without it."""
    monkeypatch.setattr("service.usecases.upstream.confirming.WAIT_SECONDS", 3600)
    pair.proxy.script("POST", Fault(Kind.REFUSAL, status=429))
    waiting = asyncio.create_task(create(pair))
    await eventually(lambda: _accepted(pair))
    assert not waiting.done()
    monkeypatch.setattr(lifecycle.process, "leaving", True)
    async with asyncio.timeout(5):
        with pytest.raises(UpstreamSilent):
            await waiting
    await pair.converge()
    assert (await create(pair)).notify == State.APPLIED


async def _accepted(pair: Pair) -> bool:
    return await pair.maybe(TOKEN) is not None
