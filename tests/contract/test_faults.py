"""What the clients make of bad days: whether a request took effect is never guessed at, and nothing is sent twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from service.backends.twilio import Account, Admission, Attempt, NotDone, NotifyBindings, OutcomeUnknown, UpstreamError
from service.backends.twilio.errors import Throttled, Unreachable
from service.redis import Redis
from tests.contract.upstream import RunningUpstream, upstream
from tests.servers.fault_proxy import ALL, Fault, FaultProxy, Kind

ADDRESS = "fcm-token:of-a-device-of-alice_0123456789"
UNANSWERED = (Kind.NEVER, Kind.SILENCE, Kind.LATE)


@pytest.fixture
async def notify(proxy: FaultProxy, redis: Redis) -> AsyncIterator[NotifyBindings]:
    """A client of Notify with one connection."""
    configured = upstream(proxy.url, "notify", connections=1)
    account = Account(configured, Admission(redis, configured))
    yield NotifyBindings(account)
    await account.aclose()


@pytest.fixture
async def hasty(proxy: FaultProxy, redis: Redis) -> AsyncIterator[NotifyBindings]:
    """The same, for what is never answered: it does not wait for long."""
    configured = upstream(proxy.url, "notify", timeout=0.5, connect_timeout=0.5, connections=1)
    account = Account(configured, Admission(redis, configured))
    yield NotifyBindings(account)
    await account.aclose()


async def create(notify: NotifyBindings, attempt: Attempt | None = None) -> str:
    """Bind Alice's device; answers the SID."""
    binding = await notify.create(identity="alice", binding_type="fcm", address=ADDRESS, attempt=attempt)
    return binding.sid


@pytest.mark.parametrize(
    ("fault", "expected", "took_effect"),
    [
        (Fault(Kind.NEVER), OutcomeUnknown, False),
        (Fault(Kind.SILENCE), OutcomeUnknown, True),
        (Fault(Kind.RESET_REQUEST), OutcomeUnknown, False),
        (Fault(Kind.RESET_ANSWER), OutcomeUnknown, True),
        (Fault(Kind.LOST_ANSWER), OutcomeUnknown, True),
        (Fault(Kind.HALF_BODY), OutcomeUnknown, True),
        (Fault(Kind.REFUSAL, status=500), OutcomeUnknown, False),
        (Fault(Kind.REFUSAL_AFTER, status=500), OutcomeUnknown, True),
        (Fault(Kind.REFUSAL, status=503, retry_after="7"), OutcomeUnknown, False),
        (Fault(Kind.REFUSAL, status=408), NotDone, False),
        (Fault(Kind.REFUSAL, status=429), Throttled, False),
    ],
    ids=lambda value: f"{value.kind.value}-{value.status}" if isinstance(value, Fault) else None,
)
@pytest.mark.parametrize("kept", [False, True], ids=["new-connection", "kept-connection"])
async def test_a_create_that_fails_says_what_is_known(
    notify: NotifyBindings,
    hasty: NotifyBindings,
    proxy: FaultProxy,
    there: RunningUpstream,
    fault: Fault,
    expected: type[UpstreamError],
    took_effect: bool,
    kept: bool,
) -> None:
    """Only what certainly did nothing is said to have done nothing; and each request is sent once."""
    client = hasty if fault.kind in UNANSWERED else notify
    if kept:
        await client.of(["alice"])
    proxy.script("POST", fault)
    attempt = Attempt()
    with pytest.raises(expected) as caught:
        await create(client, attempt)
    assert attempt.sent
    assert len([seen for seen in proxy.seen if seen.method == "POST"]) == 1
    assert bool(await there.notify_bindings("alice")) is took_effect
    assert ADDRESS not in str(caught.value)
    if fault.retry_after:
        assert caught.value.retry_after == float(fault.retry_after)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_not_even_a_harmless_request_is_repeated_unasked(
    notify: NotifyBindings, proxy: FaultProxy, method: str
) -> None:
    """The HTTP client would repeat these by itself; each request must go through admission."""
    sid = await create(notify)
    proxy.script(method, Fault(Kind.LOST_ANSWER))
    with pytest.raises(OutcomeUnknown):
        await (notify.of(["alice"]) if method == "GET" else notify.delete(sid))
    assert len([seen for seen in proxy.seen if seen.method == method]) == 1


async def test_a_late_create_lands_after_its_caller_has_gone(
    notify: NotifyBindings, hasty: NotifyBindings, proxy: FaultProxy, there: RunningUpstream
) -> None:
    """That is why an unknown outcome is looked into twice."""
    proxy.script("POST", Fault(Kind.LATE))
    with pytest.raises(OutcomeUnknown):
        await create(hasty)
    assert await notify.of(["alice"]) == []
    await proxy.release()
    assert [b["address"] for b in await there.notify_bindings("alice")] == [ADDRESS]
    assert len(await notify.of(["alice"])) == 1


async def test_without_a_connection_nothing_is_sent(notify: NotifyBindings, proxy: FaultProxy) -> None:
    """An upstream that refuses connections has certainly done nothing."""
    await create(notify)
    await proxy.down()
    attempt = Attempt()
    with pytest.raises((Unreachable, OutcomeUnknown)):
        await create(notify)
    with pytest.raises(Unreachable):
        await create(notify, attempt)
    assert not attempt.sent
    await proxy.up()
    await create(notify)


async def test_a_cancelled_caller_learns_that_it_was_sent(notify: NotifyBindings, proxy: FaultProxy) -> None:
    """A worker that is stopped in a call must know what it may have done; and it leaves its seat to others."""
    proxy.script("POST", Fault(Kind.SILENCE))
    attempt = Attempt()
    call = asyncio.create_task(create(notify, attempt))
    await proxy.met(Kind.SILENCE)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert attempt.sent
    assert len(await notify.of(["alice"])) == 1


async def test_connections_are_kept(notify: NotifyBindings, proxy: FaultProxy) -> None:
    """Twenty requests in turn take one connection."""
    for _ in range(10):
        await create(notify)
        await notify.of(["alice"])
    assert proxy.connections == 1


async def test_a_429_holds_back_every_process(proxy: FaultProxy, redis: Redis) -> None:
    """Retry-After is obeyed by whoever has the same account."""
    configured = upstream(proxy.url, "notify")
    one, two = (NotifyBindings(Account(configured, Admission(redis, configured))) for _ in range(2))
    proxy.script("GET", Fault(Kind.REFUSAL, status=429, retry_after="20"))
    with pytest.raises(Throttled) as caught:
        await one.of(["alice"])
    assert caught.value.retry_after == 20
    with pytest.raises(NotDone, match="left alone") as held:
        await two.of(["alice"])
    assert held.value.retry_after is not None
    assert 15 < held.value.retry_after <= 22
    assert len(proxy.seen) == 1
    for client in (one, two):
        await client.account.aclose()


@pytest.mark.slow
async def test_in_the_end_everything_gets_through(
    hasty: NotifyBindings, proxy: FaultProxy, there: RunningUpstream, redis: Redis
) -> None:
    """With a third of all requests failing in every way, whoever lists before it creates again leaves no double."""
    faults = [fault for fault in ALL if fault.status != 429]
    proxy.chance(seed=7, share=0.3, faults=faults)
    for n in range(20):
        for _ in range(50):
            try:
                found = await hasty.of([f"user {n}"])
                if found:
                    break
                await hasty.create(identity=f"user {n}", binding_type="fcm", address=f"token:{n}")
            except UpstreamError:
                # What the breaker would have us wait for is waited for elsewhere.
                await redis.command("DEL", hasty.account.admission.key, key=hasty.account.admission.key)
        assert len(await there.notify_bindings(f"user {n}")) == 1
    assert proxy.faults
    assert len(await there.notify_bindings()) == 20
