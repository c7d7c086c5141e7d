"""What the metrics tell of work at an upstream: verdicts, and how late what was applied was."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from service.bootstrap import runtime
from service.domain.jobs import Ledger
from service.domain.record import Channel
from service.settings import load
from service.store.ledger import Verdict
from service.telemetry.catalogue import APPLIED, SETTLED
from service.usecases.ending import log_out
from tests.integration.upstream.pair import Pair, environment
from tests.servers.fault_proxy import Fault, FaultProxy, Kind
from tests.servers.valkey import ValkeyServer

pytestmark = pytest.mark.usefixtures("quick_backoff")

TOKEN = "fcm-token-of-a-device"
BOTH = Channel.NOTIFY | Channel.CHAT


@pytest.fixture
async def pair(valkey: ValkeyServer, proxy: FaultProxy, upstream_url: str) -> AsyncIterator[Pair]:
    """Notify and Chat at the upstream."""
    valkey.call("FLUSHALL")
    environ = environment(valkey.url, proxy.url, BINDERY_CHAT_UPSTREAM_URL=proxy.url)
    async with runtime(load(environ)) as running:
        yield Pair(running, proxy, upstream_url)


class Figures:
    """What has been told of a ledger since this was made."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger.name.lower()
        self._before = {verdict: self._settled(verdict) for verdict in Verdict}
        self._applied_before = self._applied()

    def settled(self, verdict: Verdict) -> float:
        """How many entries were settled so."""
        return self._settled(verdict) - self._before[verdict]

    @property
    def applied(self) -> float:
        """How many delays were seen."""
        return self._applied()[0] - self._applied_before[0]

    @property
    def seconds(self) -> float:
        """What they come to."""
        return self._applied()[1] - self._applied_before[1]

    def _settled(self, verdict: Verdict) -> float:
        value: float = SETTLED.labels("default", self._ledger, verdict.name.lower())._value.get()
        return value

    def _applied(self) -> tuple[float, float]:
        found = {s.name: s.value for m in APPLIED.collect() for s in m.samples if s.labels["ledger"] == self._ledger}
        prefix = "bindery_answered_to_applied_seconds"
        return found.get(f"{prefix}_count", 0.0), found.get(f"{prefix}_sum", 0.0)


@pytest.mark.parametrize("ledger", Ledger, ids=lambda ledger: ledger.name.lower())
async def test_a_registration_and_its_logout_are_each_seen_once(pair: Pair, ledger: Ledger) -> None:
    """To the millisecond."""
    told = Figures(ledger)
    await pair.bind("alice", TOKEN, "phone", channels=BOTH, endpoint="e-phone")
    await pair.converge()
    assert (told.settled(Verdict.HELD), told.settled(Verdict.GONE), told.applied) == (1, 0, 1)
    await log_out(pair.service, "alice", device_id="phone")
    await pair.converge()
    assert (told.settled(Verdict.HELD), told.settled(Verdict.GONE), told.applied) == (1, 1, 2)
    assert 0 < told.seconds < 5


@pytest.mark.parametrize(("ledger", "method"), [(Ledger.NOTIFY, "POST"), (Ledger.CHAT, "GET")], ids=["notify", "chat"])
async def test_what_failed_first_is_told_as_failed(pair: Pair, ledger: Ledger, method: str) -> None:
    """It is applied once, later."""
    told, chat = Figures(ledger), ledger is Ledger.CHAT
    pair.proxy.script(method, Fault(Kind.REFUSAL, status=503))
    channels = Channel.CHAT if chat else Channel.NOTIFY
    await pair.bind("alice", TOKEN, "phone", channels=channels, endpoint="e-phone" if chat else None)
    await pair.converge()
    assert (told.settled(Verdict.LATER), told.applied) == (1, 1)


async def test_what_is_only_looked_at_again_was_applied_before(pair: Pair) -> None:
    """The list at the end of a doubt, years after the registration perhaps, tells no delay."""
    told = Figures(Ledger.NOTIFY)
    pair.proxy.script("POST", Fault(Kind.LOST_ANSWER))
    await pair.bind("alice", TOKEN)
    await pair.drain_until(lambda: pair.applied([TOKEN]))
    await pair.time_passes()
    await pair.converge()
    assert told.settled(Verdict.HELD) >= 2
    assert told.applied == 1
