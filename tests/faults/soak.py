"""``python -m tests.faults.soak``: half an hour of load with every fault in random order, and a report. 1 if it breaks.

One deployment from the beginning to the end. Turn after turn other users come, so that each turn's history is examined
by itself, while the store keeps what the earlier ones have left; in the end, it is seen to have kept it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import click
import msgspec
import uvloop

from tests.faults.checker import Violation, check
from tests.faults.deployment import Deployment, deployed
from tests.faults.footprints import Footprints
from tests.faults.history import Lookup, Op, Outcome
from tests.faults.load import Load, Plan
from tests.faults.proving import Fault
from tests.faults.running import CONVERGENCE, JSON, SERVICE, until
from tests.faults.soak_report import Turn, percentile, summary, told
from tests.faults.test_clock_steps import set_clocks
from tests.faults.test_disk_full import fill_disk
from tests.faults.test_orphaned_jobs import orphan_jobs
from tests.faults.test_random_faults import CASES, pause_worker_past_its_lease
from tests.faults.test_starved_worker import starve
from tests.faults.test_store_full import fill_memory

TURN_SECONDS = 60.0
REST = (0.5, 3.0)
_GLANCE = 0.5

FAULTS: list[Fault[Deployment]] = [
    *(case.fault for case in CASES),
    pause_worker_past_its_lease,
    starve,
    orphan_jobs,
    fill_memory,
    fill_disk,
    set_clocks,
]
"""Whatever may befall a deployment with one server; failovers have tests of their own."""

# Whoever takes up an entry, or marks it anew, gives it another time.
_ENTRIES = """#!lua flags=no-writes
local found = {}
for _, ledger in ipairs({ 'n', 'h' }) do
  for lane = 0, 7 do
    local flat = redis.call('ZRANGE', KEYS[1] .. ':' .. ledger .. lane, 0, -1, 'WITHSCORES')
    for n = 1, #flat, 2 do found[#found + 1] = flat[n] .. flat[n + 1] end
  end
end
return found
"""


class Soak:
    """Turns on a deployment, until the time is over."""

    def __init__(self, deployment: Deployment, seed: int, say: Callable[[str], None]) -> None:
        self._deployment = deployment
        self._seed = seed
        self._say = say
        self._deepest = 0
        self._left: list[Lookup] = []

    async def run(self, seconds: float, least: int) -> list[Turn]:
        """Turns for so many seconds, and at least so many. Ends early with one that broke the contract."""
        await self._deployment.ready()
        held = Footprints(self._deployment)
        end, turns = time.monotonic() + seconds, list[Turn]()
        while (time.monotonic() < end or len(turns) < least) and not any(turn.violations for turn in turns):
            turns.append(await self._turn(len(turns) + 1, min(TURN_SECONDS, max(1.0, end - time.monotonic())), held))
            self._say(told(len(turns), turns[-1]))
        await self._deployment.converged()
        turns[-1].violations.extend(told_violations(await self._forgotten()))
        await held.flat()
        self._deployment.check()
        return turns

    async def _turn(self, number: int, seconds: float, held: Footprints) -> Turn:
        began, struck = time.monotonic(), list[tuple[str, float]]()
        plan = Plan(clients=32, shared=16, pause=0.1, lifetimes=(1800, 7200), refusable=True, turn=number)
        load = Load(self._deployment, self._seed, plan)
        self._deepest = 0
        watch = asyncio.create_task(self._watch())
        try:
            await self._strike(load, random.Random(f"{self._seed}/{number}"), began + seconds, struck, held)  # noqa: S311
            converged = await self._deployment.converged()
            unapplied = await load.look_at_everything()
        finally:
            watch.cancel()
            await load.aclose()
        ended = time.monotonic()
        violations = [*check(load.history), *unapplied]
        last = max((op for op in load.history.ops if isinstance(op.action, Lookup)), key=lambda op: op.start)
        self._left += [last.action] if isinstance(last.action, Lookup) else []
        return Turn(
            seconds=ended - began,
            outcomes=dict(Counter(op.outcome.value for op in load.history.ops)),
            operations=dict(Counter(type(op.action).__name__ for op in load.history.ops)),
            latencies=_latencies(load.history.ops),
            struck=struck,
            deepest=self._deepest,
            converged=converged,
            checked=time.monotonic() - ended,
            dead_letters=self._deployment.dead_letters(),
            footprints=self._deployment.footprints(),
            violations=told_violations(violations),
        )

    async def _forgotten(self) -> list[Violation]:
        """Where what a turn has left behind is not what it was at its end."""
        violations = []
        async with contextlib.aclosing(self._deployment.connection()) as connection:
            for number, left in enumerate(self._left, 1):
                asked = msgspec.json.encode({"identities": list(left.found)})
                answer = await connection.request("POST", "/v1/lookups", JSON, asked)
                found = {
                    one["identity"]: {b["address"] for b in one["bindings"]} for one in answer.json()["identities"]
                }
                if found != {identity: set(shown) for identity, shown in left.found.items()}:
                    violations.append(Violation(rule="kept", detail=f"what turn {number} left is not there any more"))
        return violations

    async def _strike(
        self, load: Load, dice: random.Random, end: float, struck: list[tuple[str, float]], held: Footprints
    ) -> None:
        async with load:
            while time.monotonic() < end:
                await asyncio.sleep(dice.uniform(*REST))
                load.check_alive()
                if load.plan.turn == 1:
                    held.take_warm()
                fault = dice.choice(FAULTS)
                await fault(self._deployment, dice)
                passed = time.monotonic()
                owed = await self._entries()
                await until(lambda left=owed: self._taken_up(left), f"{fault.__name__} is over", CONVERGENCE)  # type: ignore[misc]
                struck.append((fault.__name__, time.monotonic() - passed))
            await self._deployment.ready()

    async def _entries(self) -> frozenset[bytes]:
        found = await asyncio.to_thread(self._deployment.ask, "EVAL", _ENTRIES, "1", f"{{{SERVICE}}}")
        assert isinstance(found, list)
        return frozenset(found)

    async def _taken_up(self, owed: frozenset[bytes]) -> bool:
        return not owed & await self._entries()

    async def _watch(self) -> None:
        while True:
            # The store may be away: that is a fault's doing.
            with contextlib.suppress(OSError, AssertionError):
                self._deepest = max(self._deepest, await asyncio.to_thread(self._deployment.owed))
            await asyncio.sleep(_GLANCE)


def told_violations(violations: list[Violation]) -> list[str]:
    """Each in a line."""
    return [f"{violation.rule}: {violation.detail}" for violation in violations]


def _latencies(ops: list[Op]) -> dict[str, tuple[float, float]]:
    times: dict[str, list[float]] = {}
    for op in ops:
        if op.outcome is not Outcome.UNKNOWN:
            times.setdefault(type(op.action).__name__, []).append(1000 * (op.end - op.start))
    return {name: (percentile(taken, 50), percentile(taken, 99)) for name, taken in times.items()}


@click.command()
@click.option("--seconds", default=1800.0, show_default=True, help="For how long.")
@click.option("--turns", default=1, show_default=True, help="At least so many turns, however long they take.")
@click.option("--seed", default=lambda: secrets.randbelow(2**32), help="Repeats a run, as far as timing allows.")
@click.option("--out", type=click.Path(path_type=Path), default=Path(".bindery/soak"), show_default=True)
def main(seconds: float, turns: int, seed: int, out: Path) -> None:
    """Load with faults, examined turn by turn."""
    out.mkdir(parents=True, exist_ok=True)
    lines = [f"seed {seed}"]

    def say(line: str) -> None:
        lines.append(line)
        click.echo(line)

    click.echo(lines[0])
    with tempfile.TemporaryDirectory() as directory, deployed(Path(directory), workers=2) as deployment:
        found = uvloop.run(Soak(deployment, seed, say).run(seconds, turns))
    say(summary(found))
    (out / "soak.txt").write_text("\n".join(lines) + "\n")
    (out / "soak.json").write_bytes(msgspec.json.format(msgspec.json.encode(found)))
    if any(turn.violations or turn.dead_letters for turn in found):
        sys.exit(1)


if __name__ == "__main__":
    main()
