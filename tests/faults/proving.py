"""Runs: load, faults, convergence, and the verdict on what was recorded."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

import uvloop

from tests.faults.checker import Violation, check
from tests.faults.footprints import Footprints
from tests.faults.history import History, Listing, Logout, Lookup, Outcome, Register
from tests.faults.load import Load, Plan
from tests.faults.running import Running

R = TypeVar("R", bound=Running)
Fault: TypeAlias = Callable[[R, random.Random], Awaitable[None]]


OF_ANY_STATE = frozenset({"one owner", "cap", "applied"})
"""The rules that what is stored at one moment keeps or breaks, whatever was stored before."""


LEAST: dict[type[object], int] = {Register: 50, Logout: 15, Lookup: 20, Listing: 20}
"""How many of each kind are done at least in the shortest of runs with the longest of outages, on a busy machine."""


class Broken(AssertionError):
    """The contract was broken."""

    def __init__(self, violations: list[Violation]) -> None:
        self.violations = violations
        told = "\n".join(f"{v.rule}: {v.detail}" for v in violations[:5])
        super().__init__(f"{len(violations)} violations\n{told}")


def seed() -> int:
    """The seed of this run: BINDERY_FAULT_SEED repeats one."""
    return int(os.environ.get("BINDERY_FAULT_SEED") or secrets.randbelow(2**32))


def prove(
    deployment: R,
    fault: Fault[R],
    *,
    times: int,
    plan: Plan | None = None,
    rest: tuple[float, float] = (0.1, 0.6),
    lossy: bool = False,
) -> History:
    """Run the load, let the fault strike so many times at random moments, and hold the history to the contract.

    Where the fault may be ``lossy``, what was answered may come undone, and only what holds of any state is judged.
    Answers what was recorded.
    """
    drawn = seed()
    print(f"\nBINDERY_FAULT_SEED={drawn}")  # noqa: T201  # to repeat the run
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_prove(deployment, fault, times, plan or Plan(), rest, drawn, lossy))


def check_done(history: History) -> None:
    """That enough of each kind was done: else there was nothing to break.

    Raises:
        AssertionError: too little was.
    """
    done = Counter[type[object]](type(op.action) for op in history.ops if op.outcome is Outcome.DONE)
    short = {kind.__name__: done[kind] for kind, least in LEAST.items() if done[kind] < least}
    assert not short, f"just {short} were done"


async def _prove(
    deployment: R,
    fault: Fault[R],
    times: int,
    plan: Plan,
    rest: tuple[float, float],
    drawn: int,
    lossy: bool,
) -> History:
    await deployment.ready()
    held = Footprints(deployment)
    load = Load(deployment, drawn, plan)
    try:
        await _strike(deployment, load, fault, times, rest, drawn, held)
        seconds = await deployment.converged()
        unapplied = await load.look_at_everything()
    finally:
        await load.aclose()
    began = time.monotonic()
    violations = [*check(load.history), *unapplied]
    if lossy:
        print(f"lost or not: {Counter(v.rule for v in violations)}")  # noqa: T201  # for the report
        violations = [violation for violation in violations if violation.rule in OF_ANY_STATE]
    told = time.monotonic() - began
    outcomes = {o.value: sum(1 for op in load.history.ops if op.outcome is o) for o in Outcome}
    print(f"{outcomes}; converged in {seconds:.2f} s, checked in {told:.2f} s")  # noqa: T201  # for the report
    for why, count in Counter(op.reason for op in load.history.ops if op.outcome is Outcome.UNKNOWN).most_common(5):
        print(f"unknown {count} times: {why[:160]}")  # noqa: T201  # for the report
    if violations:
        raise Broken(violations)
    check_done(load.history)
    assert deployment.dead_letters() == 0
    deployment.check()
    for name, now in (await held.flat()).items():
        print(f"{name}: {held.idle[name]} idle, {held.warm[name]} warm, {now} in the end")  # noqa: T201  # for the report
    return load.history


async def _strike(
    deployment: R,
    load: Load,
    fault: Fault[R],
    times: int,
    rest: tuple[float, float],
    drawn: int,
    held: Footprints,
) -> None:
    dice = random.Random(drawn)  # noqa: S311  # repeatable, not secret
    async with load:
        for n in range(times):
            await asyncio.sleep(dice.uniform(*rest))
            load.check_alive()
            await fault(deployment, dice)
            if n <= times // 3:
                held.take_warm()
        await deployment.ready()
        # What comes back must also be seen to work.
        await asyncio.sleep(0.3)
