"""What is told of calls to an upstream: each once, by what it was and how it ended."""

from __future__ import annotations

import asyncio

import pytest

from service.backends.twilio import Account, Admission, NotifyBindings, UpstreamError
from service.redis import Redis
from service.telemetry.catalogue import UPSTREAM_CALLS, UPSTREAM_WAITS, registry
from tests.contract.upstream import Clients, upstream
from tests.servers.fault_proxy import Fault, FaultProxy, Kind

ADDRESS = "fcm-token-of-a-device"


@pytest.fixture(autouse=True)
def nothing_yet() -> None:
    """Of other tests, whose proxies may have had the same port."""
    UPSTREAM_CALLS.clear()
    UPSTREAM_WAITS.clear()


def counted(client: NotifyBindings, operation: str) -> dict[str, float]:
    """Calls so far, by outcome."""
    labels = {"upstream": client.account.upstream.host, "operation": operation}
    found = {}
    for family in registry.collect():
        for sample in family.samples:
            if (
                sample.name == "bindery_upstream_call_duration_seconds_count"
                and labels.items() <= sample.labels.items()
            ):
                found[sample.labels["outcome"]] = sample.value
    return found


async def create(client: NotifyBindings) -> str:
    """Bind Alice's device; answers the SID."""
    return (await client.create(identity="alice", binding_type="fcm", address=ADDRESS)).sid


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Fault(Kind.LOST_ANSWER), "unknown"),
        (Fault(Kind.REFUSAL, status=500), "unknown"),
        (Fault(Kind.REFUSAL, status=429), "throttled"),
        (Fault(Kind.REFUSAL, status=401), "account-refused"),
        (Fault(Kind.REFUSAL, status=400), "refused"),
        (Fault(Kind.REFUSAL, status=408), "not-done"),
    ],
    ids=lambda value: f"{value.kind.value}-{value.status}" if isinstance(value, Fault) else None,
)
async def test_a_call_that_fails_is_counted_by_how(
    clients: Clients, proxy: FaultProxy, fault: Fault, outcome: str
) -> None:
    """As one call of its kind, whatever came of it."""
    proxy.script("POST", fault)
    with pytest.raises(UpstreamError):
        await create(clients.notify)
    assert counted(clients.notify, "create") == {outcome: 1}


async def test_calls_that_succeed_are_counted_by_their_kind(clients: Clients) -> None:
    """What is not there (any more) is no failure."""
    sid = await create(clients.notify)
    await clients.notify.of(["alice"])
    await clients.notify.fetch(sid)
    await clients.notify.delete(sid)
    await clients.notify.delete(sid)
    assert counted(clients.notify, "create") == {"done": 1}
    assert counted(clients.notify, "list") == {"done": 1}
    assert counted(clients.notify, "fetch") == {"done": 1}
    assert counted(clients.notify, "delete") == {"done": 1, "not-found": 1}


async def test_a_call_without_a_connection_is_counted(clients: Clients, proxy: FaultProxy) -> None:
    """And one that its caller gave up while it was under way."""
    proxy.script("POST", Fault(Kind.NEVER))
    given_up = asyncio.ensure_future(create(clients.notify))
    await proxy.met(Kind.NEVER)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    await proxy.down()
    with pytest.raises(UpstreamError):
        await create(clients.notify)
    assert counted(clients.notify, "create") == {"broken-off": 1, "unreachable": 1}


async def test_what_the_rate_makes_calls_wait_is_told(proxy: FaultProxy, redis: Redis) -> None:
    """Ten a second: the second goes at once, as a burst, or waits for its slot."""
    configured = upstream(proxy.url, "notify", rate=10.0)
    account = Account(configured, Admission(redis, configured))
    client = NotifyBindings(account)
    for _ in range(3):
        await client.of(["alice"])
    await account.aclose()
    labels = {"upstream": configured.host}
    assert registry.get_sample_value("bindery_upstream_wait_seconds_count", labels) == 3
    waited = registry.get_sample_value("bindery_upstream_wait_seconds_sum", labels)
    assert waited is not None
    assert 0.05 < waited < 0.25
