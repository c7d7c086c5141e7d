"""A breaker that has opened closes again once the upstream is back, whether anything is owed there or not."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from service.backends.twilio import Attempt, NotDone, OutcomeUnknown
from service.backends.twilio.errors import of_answer
from service.bootstrap import runtime
from service.domain.record import Channel
from service.settings import load
from service.telemetry.catalogue import UPSTREAM_BREAKER
from service.usecases.moving.switching import cut_over
from service.usecases.upstream.probing import probe_step
from service.usecases.upstream.standing import _mending
from tests.integration.upstream.pair import Pair, environment
from tests.servers.fault_proxy import Fault, FaultProxy, Kind
from tests.servers.valkey import ValkeyServer
from tests.waiting import eventually
from workers.showing import look_at_breakers


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
        valkey.call("HSET", pair.upstream.account.admission.key, "until", "0")
        with pytest.raises(NotDone):
            await pair.upstream.bindings.delete("BS" + "1" * 32, Attempt(time.monotonic()))
    assert await state_of(pair) == "probing"
    assert pair.proxy.seen == []


async def test_a_read_that_its_caller_had_no_time_for_is_no_fault_of_the_upstreams(
    valkey: ValkeyServer, proxy: FaultProxy, upstream_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may answer in two seconds for all one knows: the breaker, which is everybody's, does not count it.

    Nor does the system give up earlier on bytes that are on their way.
    """
    bounds: list[float] = []
    monkeypatch.setattr("service.backends.twilio.account._bound_delivery", lambda _, seconds: bounds.append(seconds))
    valkey.call("FLUSHALL")
    times = {"BINDERY_UPSTREAM_TIMEOUT": "10", "BINDERY_UPSTREAM_LONGEST_REQUEST": "60"}
    async with runtime(load(environment(valkey.url, proxy.url, **times))) as running:
        pair = Pair(running, proxy, upstream_url)
        proxy.script("GET", Fault(Kind.SILENCE), None)
        with pytest.raises(OutcomeUnknown):
            await pair.upstream.bindings.page(attempt=Attempt(time.monotonic() + 1.1))
        await pair.upstream.bindings.page()
        await pair.upstream.bindings.page()
        health = await pair.upstream.account.admission.health()
    assert (health.good, health.bad) == (1, 0)
    assert 1 < bounds[0] <= 1.1
    assert bounds[1:] == [10, 10]


async def test_a_breaker_that_nobody_needs_any_more_is_not_shown(pair: Pair, valkey: ValkeyServer) -> None:
    """After a cut-over the upstream may be as dead as it likes."""
    await tripped(pair, valkey)
    gauge = UPSTREAM_BREAKER.labels(pair.upstream.config.host)
    await look_at_breakers(pair.running.directory)
    assert [sample.value for metric in gauge.collect() for sample in metric.samples] == [1]
    await cut_over(pair.service, Channel.NOTIFY, agreed=True)
    await look_at_breakers(pair.running.directory)
    assert [sample.value for metric in gauge.collect() for sample in metric.samples] == [0]


def test_who_has_the_wrong_address_is_told_so() -> None:
    """Not that the work waits until it answers: it does, and never as it should."""
    assert "URL" in _mending(of_answer(404, b"<html>", None, ()))
