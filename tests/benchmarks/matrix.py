"""The matrix: every size of store with every number of API and worker processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from tests.benchmarks import cases
from tests.benchmarks.deployment import environment
from tests.benchmarks.draining import drain
from tests.benchmarks.fill import fill_by_processes
from tests.benchmarks.measuring import Endpoint, Sample, Spread, measure, spread
from tests.benchmarks.scale import Scale
from tests.benchmarks.site import Site, beside, serving
from tests.servers.valkey import ValkeyServer

SIZES = (10_000, 100_000, 1_000_000)
PROCESSES = (1, 2, 4)
_HELLO = ("-m", "tests.benchmarks.serve", "tests.benchmarks.peers.hello:create_app")


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """So many devices in the store, so many API processes and as many workers. Rates are per second."""

    devices: int
    processes: int
    rates: dict[str, Spread]
    floor: Spread
    drained: Spread


async def run(
    folder: Path,
    scale: Scale,
    say: Callable[[str], None],
    *,
    sizes: Sequence[int] = SIZES,
    processes: Sequence[int] = PROCESSES,
) -> list[Cell]:
    """Every cell, one store filled on from size to size.

    Raises AssertionError if an answer or a final state is wrong.
    """
    found: list[Cell] = []
    held = 0
    with ValkeyServer("--hash-max-listpack-entries", "512", appendfsync="no") as valkey:
        for size in sizes:
            say(f"filling up to {size:,} devices")
            valkey.call("CONFIG", "SET", "appendfsync", "no")
            fill_by_processes(valkey.url, folder, "matrix", size - held, first=held)
            valkey.call("CONFIG", "SET", "appendfsync", "always")
            held = size
            for number in processes:
                say(f"{size:,} devices, {number} API and worker processes")
                name = f"{size}-{number}"
                hello = serving(_HELLO, environment(valkey.url), folder / "hello.log", processes=number)
                async with beside(valkey, folder, name, apis=number, workers=number) as site:
                    with hello as floor:
                        found.append(await _cell(site, cases.alone(floor), name, size, number, scale))
    return found


async def _cell(site: Site, hello: Endpoint, name: str, devices: int, processes: int, scale: Scale) -> Cell:
    pool = await cases.make_pool(site, scale)
    listed = {
        "hello": cases.stateless("hello", hello, scale.requests, 200),
        "new": cases.new(site, f"new-{name}", scale.requests),
        "unchanged": cases.unchanged(site, pool, f"unchanged-{name}", scale.requests, first_use=False),
        "lookup": cases.lookup_one(site, pool, f"lookup-{name}", scale.requests),
    }
    samples: dict[str, list[Sample]] = {kind: [] for kind in listed}
    drained = []
    for number in range(scale.rounds):
        for kind, case in listed.items():
            samples[kind].append(await measure(case.endpoint, await case.prepare(number)))
        drained.append(await drain(site, f"drained-{name}-{number}", scale.drained))
    rates = {kind: spread([sample.rate for sample in found]) for kind, found in samples.items()}
    return Cell(
        devices=devices,
        processes=processes,
        floor=rates.pop("hello"),
        rates=rates,
        drained=spread([each.rate for each in drained]),
    )
