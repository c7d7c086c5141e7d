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


async def measure(endpoint: Endpoint, plan: Plan) -> Sample:
    """Send a plan's requests, and hold it to what it promises.

    Raises AssertionError if an answer or the final state is not as it must be.
    """
    if plan.begin is not None:
        plan.begin()
    before, began = endpoint.cpu(), time.perf_counter()
    result = await load.run(endpoint.port, plan.requests)
    if plan.settled is not None:
        await plan.settled()
    after, ended = endpoint.cpu(), time.perf_counter()
    result.check(plan.status)
    await plan.verify(result)
    return Sample(
        rate=result.rate,
        applied=result.count / (ended - began),
        cpu={part: (after[part] - before[part]) / result.count * 1e6 for part in after},
        generator=result.busy,
        p50=percentile(result.latencies, 50) * 1e3,
        p99=percentile(result.latencies, 99) * 1e3,
    )


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
