"""Thousands of devices before an upstream where one request in ten goes wrong: in the end it has what is desired."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
import uvloop

from tests.servers.fault_proxy import ALL, Fault, Kind
from tests.volumes.households import DEVICES, Household, live, union
from tests.volumes.site import Site, site

pytestmark = pytest.mark.slow

SEED = 20
CONNECTIONS = 32
SETTINGS = {
    "CHAT_UPSTREAM_URL": "PROXY",
    "UPSTREAM_RATE": "2000",
    # Beyond what the proxy makes late: on a busy machine what was given up may wait for its turn at the upstream.
    "UPSTREAM_LONGEST_REQUEST": "15",
}

# A quick upstream asks for short breaks: one of a second after each sixtieth request would be most of the test. And
# one request in a hundred or so takes effect when nobody waits for it any more.
BREAK = Fault(Kind.REFUSAL, status=429, retry_after="0.05")
LATE = Fault(Kind.DELAY, seconds=1.5)
FAULTS = [*(BREAK if fault.status == 429 else fault for fault in ALL), LATE]


async def run(directory: Path, devices: int, acts: int, deadline: float) -> None:
    """Live, converge, compare."""
    async with site(directory, workers=2, settings=SETTINGS) as both:
        households = [Household(number, SEED) for number in range(devices // DEVICES)]
        here, there = ([side.connection() for _ in range(CONNECTIONS)] for side in (both.here, both.there))
        both.proxy.chance(SEED, 0.1, FAULTS)
        began = time.monotonic()
        await live(households, here, there, acts)
        lived = time.monotonic() - began
        settled = await both.settled(deadline)
        for connection in [*here, *there]:
            await connection.aclose()
        seen, met = len(both.proxy.seen), both.proxy.faults
        print(  # noqa: T201  # for the report
            f"\n{devices} devices, {lived:.0f} s of life, settled {settled:.1f} s later; {seen} requests,",
            f"{met.total()} with faults:", ", ".join(f"{kind.value} {count}" for kind, count in met.most_common()),
        )  # fmt: skip
        await check(both, households)


async def check(both: Site, households: list[Household]) -> None:
    """The upstream has exactly what is desired, and Bindery says so too."""
    assert await both.diff() == (0, "")
    assert both.here.dead_letters() == 0
    # Nobody else deletes anything there: what has gone was ours.
    assert both.vanished() == 0
    found = [(b["address"], b["identity"], tuple(b["tags"])) for b in await both.notify_there()]
    assert sorted(found) == sorted(set().union(*(household.notify() for household in households)))
    chat = [(b["identity"], b["endpoint"]) for b in await both.chat_there()]
    must, may = (union(sets) for sets in zip(*(household.chat() for household in households), strict=True))
    assert len(set(chat)) == len(chat)
    assert must - set(chat) == set()
    assert set(chat) - may == set()


def go(directory: Path, devices: int, acts: int, deadline: float) -> None:
    """On a quick loop: clients, proxy and all are this one process."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(directory, devices, acts, deadline))


def test_devices_converge_at_an_upstream_with_faults(tmp_path: Path) -> None:
    """400 devices, Notify and Chat."""
    go(tmp_path, 400, acts=3, deadline=60)


@pytest.mark.proof
def test_10_000_devices_converge_at_an_upstream_with_faults(tmp_path: Path) -> None:
    """Notify and Chat."""
    go(tmp_path, 10_000, acts=3, deadline=300)
