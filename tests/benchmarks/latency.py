"""From the answer to the moment at which the registration is seen applied: at idle and under a steady load."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from tests.benchmarks import deployment as wire
from tests.benchmarks import load
from tests.benchmarks.devices import devices
from tests.benchmarks.measuring import percentile
from tests.benchmarks.scale import Scale
from tests.benchmarks.site import Site, site
from tests.benchmarks.watching import watching
from tests.waiting import eventually


class Steady(msgspec.Struct, frozen=True, kw_only=True):
    """New registrations at a steady rate. Latencies in milliseconds."""

    rate: float
    """Asked for."""
    reached: float
    answer_p50: float
    answer_p99: float
    applied_p50: float
    """From answered to applied; 0 if it was seen applied first."""
    applied_p99: float
    depths: list[tuple[float, int]]
    """Entries in the ledger, and when (in seconds)."""

    @property
    def deepest(self) -> int:
        """The most entries seen in the ledger."""
        return max(depth for _, depth in self.depths)

    @property
    def bounded(self) -> bool:
        """Whether the ledger never held more than came in within a second, and was not deeper at the end."""
        half = len(self.depths) // 2
        first, last = (max((d for _, d in part), default=0) for part in (self.depths[:half], self.depths[half:]))
        return self.deepest <= self.rate and last <= 2 * first + self.rate / 10


class Latencies(msgspec.Struct, frozen=True, kw_only=True):
    """One deployment by itself: with nothing to do, almost idle, at half load, and near what it can take."""

    idle_cpu: dict[str, float]
    """Percent of a core."""
    idle: Steady
    half: Steady
    sustained: Steady


async def run(folder: Path, scale: Scale, slowest: float, say: Callable[[str], None]) -> Latencies:
    """Measure all of it; ``slowest`` is the rate of new registrations in the slowest round.

    Raises AssertionError if a registration is refused, or not applied in the end.
    """
    async with site(folder, "latency") as alone:
        say("idle")
        cpu = await idle_cpu(alone, scale.idle_seconds)
        idle = await steady(alone, "idle", scale.idle_rate, scale.idle_requests)
        say(f"half of {slowest:,.0f} new registrations per second")
        half = await steady(alone, "half", slowest * 0.5, int(slowest * 0.5 * scale.half_seconds))
        say(f"70 % of {slowest:,.0f} new registrations per second, for {scale.sustained_seconds:g} s")
        sustained = await steady(alone, "sustained", slowest * 0.7, int(slowest * 0.7 * scale.sustained_seconds))
    return Latencies(idle_cpu=cpu, idle=idle, half=half, sustained=sustained)


async def steady(at: Site, label: str, rate: float, count: int) -> Steady:
    """Register ``count`` new devices, ``rate`` of them per second.

    Raises AssertionError if one is refused, or not applied in the end.
    """
    fresh = devices(label, count)
    requests = [wire.registration(device) for device in fresh]
    prints = [at.service.fingerprints.address(device.address) for device in fresh]
    await at.settled()
    async with watching(at) as watch:
        result = await load.run(at.api.port, requests, rate=rate)

        async def all_seen() -> bool:
            return len(watch.applied) >= count

        await eventually(all_seen, timeout=30)
    result.check(202)
    await at.check_holds(fresh)
    applied = [max(0.0, watch.applied[mark] - at) * 1e3 for mark, at in zip(prints, result.answered, strict=True)]
    return Steady(
        rate=rate,
        reached=result.rate,
        answer_p50=percentile(result.latencies, 50) * 1e3,
        answer_p99=percentile(result.latencies, 99) * 1e3,
        applied_p50=percentile(applied, 50),
        applied_p99=percentile(applied, 99),
        depths=watch.depths,
    )


async def idle_cpu(at: Site, seconds: float) -> dict[str, float]:
    """The share of a core that each part takes when there is nothing to do, in percent."""
    before, started = at.cpu(), time.perf_counter()
    await asyncio.sleep(seconds)
    after, passed = at.cpu(), time.perf_counter() - started
    return {part: (after[part] - before[part]) / passed * 100 for part in after}
