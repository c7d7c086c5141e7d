"""One measured run of requests, and the medians of several."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from tests.benchmarks import load
from tests.benchmarks.load import Result

Cpu = Callable[[], Mapping[str, float]]


class Endpoint(msgspec.Struct, frozen=True):
    """Where requests go, and whose CPU time they cost, by part."""

    port: int
    cpu: Cpu


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Requests to send once each, the one status that they must all get, and what must hold afterwards."""

    requests: Sequence[bytes]
    status: int
    begin: Callable[[], object] | None = None
    """Called right before the first request."""
    settled: Callable[[], Awaitable[None]] | None = None
    """Returns once all the work that the requests cause is done: it belongs to their cost in CPU, not to the rate."""
    verify: Callable[[Result], Awaitable[None]]


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What one run came to. CPU in microseconds per request, latencies in milliseconds."""

    rate: float
    """Answers per second."""
    applied: float
    """Requests per second, until all the work that they cause was done."""
    cpu: dict[str, float]
    generator: float
    """The share of a core that the generator took."""
    p50: float
    p99: float


class Meter:
    """Sends a plan's requests, all at once or in turns with another meter's, and adds up what they cost."""

    def __init__(self, endpoint: Endpoint, plan: Plan) -> None:
        self._endpoint, self._plan = endpoint, plan
        self._result: Result | None = None
        self._before: Mapping[str, float] = {}
        self._cpu: dict[str, float] = {}
        self._seconds = 0.0

    async def turn(self, number: int, turns: int) -> None:
        """Send this turn's share of the requests, and see the work through that they cause."""
        count = len(self._plan.requests)
        share = self._plan.requests[count * number // turns : count * (number + 1) // turns]
        if not share:
            return  # there are fewer requests than turns
        result = await load.run(self._endpoint.port, share, begin=self._begin)
        began = time.perf_counter() - result.seconds
        if self._plan.settled is not None:
            await self._plan.settled()
        for part, seconds in self._endpoint.cpu().items():
            self._cpu[part] = self._cpu.get(part, 0.0) + seconds - self._before[part]
        self._seconds += time.perf_counter() - began
        self._result = self._result.followed_by(result) if self._result else result

    def _begin(self) -> None:
        if self._plan.begin is not None:
            self._plan.begin()
        self._before = self._endpoint.cpu()

    async def sample(self) -> Sample:
        """What all turns came to.

        Raises AssertionError if an answer or the final state is not as the plan promises.
        """
        result = self._result
        assert result is not None
        result.check(self._plan.status)
        await self._plan.verify(result)
        return Sample(
            rate=result.rate,
            applied=result.count / self._seconds,
            cpu={part: seconds / result.count * 1e6 for part, seconds in self._cpu.items()},
            generator=result.busy,
            p50=percentile(result.latencies, 50) * 1e3,
            p99=percentile(result.latencies, 99) * 1e3,
        )


async def measure(endpoint: Endpoint, plan: Plan) -> Sample:
    """Send a plan's requests, and hold it to what it promises.

    Raises AssertionError if an answer or the final state is not as it must be.
    """
    [sample] = await by_turns(1, (endpoint, plan))
    return sample


async def by_turns(turns: int, *parties: tuple[Endpoint, Plan]) -> list[Sample]:
    """Measure several in turns as short as the machine's own ups and downs, so that these meet all alike.

    Each turn begins when the one before has left nothing to do. Raises AssertionError as ``measure``.
    """
    meters = [Meter(endpoint, plan) for endpoint, plan in parties]
    for number in range(turns):
        for meter in meters:
            await meter.turn(number, turns)
    return [await meter.sample() for meter in meters]


async def nothing(_: Result) -> None:
    """For a plan that leaves no state behind."""


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


class Spread(msgspec.Struct, frozen=True):
    """The median of several rounds, with the least and the greatest of them."""

    median: float
    least: float
    greatest: float

    def __str__(self) -> str:
        digits = 2 if self.median < 10 else 1 if self.median < 100 else 0
        return f"{self.median:,.{digits}f} ({self.least:,.{digits}f}–{self.greatest:,.{digits}f})"


def spread(values: Sequence[float]) -> Spread:
    """Of at least one value."""
    return Spread(statistics.median(values), min(values), max(values))
