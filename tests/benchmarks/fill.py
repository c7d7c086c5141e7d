"""Fills a store through the registration script, by several processes, far faster than over HTTP.

``python -m tests.benchmarks.fill redis-url label kind first count`` is one of them.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import uvloop

from service.bootstrap import runtime
from service.domain.addresses import BindingType
from service.domain.record import NO_CHANNEL
from service.settings import load
from service.usecases.registering import wanted
from service.usecases.service import Service
from tests.benchmarks.deployment import environment
from tests.benchmarks.devices import Device, device
from tests.benchmarks.processes import Program, python

_AT_ONCE = 128


async def fill(service: Service, devices: Iterator[Device], *, settle: bool) -> None:
    """Register the devices; with ``settle`` they are applied at once, without it they are owed to the workers."""
    at_once = service.at_once if settle else NO_CHANNEL

    async def some() -> None:
        for each in devices:
            done = await service.registrations.register(wanted(service, each.request()), at_once=at_once)
            service.wake(done.wake)

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(some())


def fill_by_processes(
    redis_url: str,
    folder: Path,
    label: str,
    count: int,
    *,
    first: int = 0,
    kind: BindingType = BindingType.APN,
    processes: int = 2,
) -> None:
    """Register devices ``first`` to ``first + count`` of a label, applied at once.

    Raises RuntimeError if a process fails.
    """
    share = -(-count // processes)
    with ExitStack() as stack:
        programs = []
        for start in range(first, first + count, share):
            words = (redis_url, label, kind.value, str(start), str(min(share, first + count - start)))
            argv = python("-m", "tests.benchmarks.fill", *words)
            programs.append(stack.enter_context(Program(argv, folder / "fill.log")))
        for program in programs:
            if program.wait() != 0:
                raise RuntimeError(f"filling failed: {program.output}")


async def _main(redis_url: str, label: str, kind: str, first: str, count: str) -> None:
    numbers = range(int(first), int(first) + int(count))
    async with runtime(load(environment(redis_url))) as running:
        await running.open_store()
        devices = (device(label, number, BindingType(kind)) for number in numbers)
        await fill(running.directory.default(), devices, settle=True)


if __name__ == "__main__":
    uvloop.run(_main(*sys.argv[1:]))
