"""What the upstream sees of a rate limit that four workers share."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from pathlib import Path

import pytest
import uvloop

from tests.volumes.registering import register
from tests.volumes.site import site

pytestmark = pytest.mark.slow

RATE, WORKERS, TOLERANCE = 50, 4, 0.05
_STEADY = 2.0


async def run(directory: Path, seconds: float) -> None:
    """More registrations than the time is enough for; counted where the upstream is."""
    async with site(directory, workers=WORKERS, settings={"UPSTREAM_RATE": str(RATE)}) as both:
        await register(both.here, 8, range(int(RATE * (seconds + 4 * _STEADY))))
        begin = asyncio.get_running_loop().time() + _STEADY
        await asyncio.sleep(_STEADY + seconds)
        times = [seen.at for seen in both.proxy.seen]
        count = bisect_left(times, begin + seconds) - bisect_left(times, begin)
        by_second = [bisect_left(times, begin + n + 1) - bisect_left(times, begin + n) for n in range(int(seconds))]
        spread = f"{min(by_second)} to {max(by_second)}"
        print(f"\n{count} requests in {seconds:g} s: {count / seconds:.2f}/s; by second {spread}")  # noqa: T201
        assert both.here.owed() > 0
        assert abs(count / seconds - RATE) <= TOLERANCE * RATE


def go(directory: Path, seconds: float) -> None:
    """On a quick loop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(directory, seconds))


def test_four_workers_keep_to_one_rate(tmp_path: Path) -> None:
    """50 requests a second, within 5 %, over 8 s."""
    go(tmp_path, 8)


@pytest.mark.proof
def test_four_workers_keep_to_one_rate_for_long(tmp_path: Path) -> None:
    """50 requests a second, within 5 %, over 30 s."""
    go(tmp_path, 30)
