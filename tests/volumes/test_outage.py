"""An upstream that is dead for a whole run of registrations, while workers and queue have their own troubles."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import msgspec
import pytest
import uvloop

from tests.faults.running import JSON
from tests.servers.fault_proxy import Fault, Kind
from tests.volumes.registering import address_of, register
from tests.volumes.site import Site, share, site

pytestmark = pytest.mark.slow

CONNECTIONS = 16
SETTINGS = {"UPSTREAM_RATE": "300"}
EXTRA = 0.01
"""Creates that may be too many, as a share."""

NOISE = 1.5, 0.05
"""What a p99 may be above another, as a factor and in seconds, on a machine that does everything at once."""


async def run(directory: Path, alive: int, dead: int, deadline: float) -> None:
    """Register while it is alive, while it is dead, and when it is alive again."""
    async with site(directory, workers=2, settings=SETTINGS) as both:
        before = await register(both.here, CONNECTIONS, range(alive))
        await both.settled(deadline)
        during = await _through_an_outage(both, range(alive, alive + dead))
        # Once more while it catches up.
        both.proxy.calm()
        await both.proxy.up()
        await asyncio.sleep(1)
        await both.replace_workers()
        caught_up = await both.settled(deadline)
        everything = range(alive + dead + alive)
        after = await register(both.here, CONNECTIONS, everything[alive + dead :])
        await both.settled(deadline)
        creates = both.creates()
        extra = creates.total() - len(everything)
        p99 = [share(seconds, 0.99) for seconds in (before, during, after)]
        print(  # noqa: T201  # for the report
            f"\n{dead} registered while the upstream was dead, applied {caught_up:.1f} s after it came back;",
            f"{extra} creates too many of {len(everything)}; p50 and p99 before, during, after:",
            ", ".join(f"{1000 * share(s, 0.5):.1f}/{1000 * share(s, 0.99):.1f} ms" for s in (before, during, after)),
        )  # fmt: skip
        assert set(creates) == {address_of(number) for number in everything}
        assert extra <= EXTRA * len(everything)
        assert await both.diff() == (0, "")
        found = sorted((b["address"], b["identity"]) for b in await both.notify_there())
        assert found == sorted((address_of(number), f"user-{number}") for number in everything)
        factor, more = NOISE
        assert p99[1] <= factor * max(p99[0], p99[2]) + more


async def _through_an_outage(both: Site, numbers: range) -> list[float]:
    """It answers nothing, then refuses connections; workers are killed twice, and the queue's database is flushed."""
    both.proxy.chance(1, 1.0, [Fault(Kind.NEVER)])
    quarter = len(numbers) // 4
    seconds: list[float] = []
    for part in range(4):
        seconds += await register(both.here, CONNECTIONS, numbers[part * quarter : (part + 1) * quarter])
        if part in (0, 2):
            await both.replace_workers()
        elif part == 1:
            both.lose_queue()
            await both.proxy.down()
    # It has been dead for all of them; what is desired shows all the same, and what was logged out does not.
    assert both.here.owed() >= len(numbers)
    await _check_lookups(both, numbers[0], len(numbers))
    return sorted(seconds)


async def _check_lookups(both: Site, number: int, most: int) -> None:
    async with aclosing(both.here.connection()) as connection:
        path = f"/v1/identities/user-{number}/bindings"
        logout = msgspec.json.encode({"identity": f"user-{number}"})
        assert len((await connection.request("GET", path, JSON)).json()["bindings"]) == 1
        assert (await connection.request("POST", "/v1/logouts", JSON, logout)).status == 200
        assert (await connection.request("GET", path, JSON)).json()["bindings"] == []
    # Never told of it, the upstream has nothing to forget.
    assert both.here.owed() >= most - 1
    await register(both.here, 1, range(number, number + 1))


def go(directory: Path, alive: int, dead: int, deadline: float) -> None:
    """On a quick loop: clients and proxy are this one process."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(directory, alive, dead, deadline))


def test_an_outage_costs_no_second_create(tmp_path: Path) -> None:
    """1,600 registrations while the upstream is dead."""
    go(tmp_path, 400, 1600, deadline=60)


@pytest.mark.proof
def test_an_outage_of_20_000_registrations_costs_no_second_create(tmp_path: Path) -> None:
    """And the API is as quick as with the upstream alive."""
    go(tmp_path, 4000, 20_000, deadline=300)
