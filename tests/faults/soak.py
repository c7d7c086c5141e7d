"""``python -m tests.faults.soak``: half an hour of load with every fault in random order, and a report. 1 if it breaks.

One deployment from the beginning to the end. Turn after turn other users come, so that each turn's history is examined
by itself, while the store keeps what the earlier ones have left.
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

from tests.faults.checker import check
from tests.faults.deployment import Deployment, deployed
from tests.faults.footprints import Footprints
from tests.faults.history import Op, Outcome
from tests.faults.load import Load, Plan
from tests.faults.process import Footprint
from tests.faults.test_random_faults import CASES

TURN_SECONDS = 60.0
_REST = (0.5, 3.0)
_GLANCE = 0.5


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What one turn came to. Times are in seconds, latencies in milliseconds."""

    seconds: float
    outcomes: dict[str, int]
    operations: dict[str, int]
    faults: dict[str, int]
    p50: float
    p99: float
    """Of answers, requests that waited for a fault to pass included."""
    deepest: int
    """Entries in the ledgers, at most."""
    converged: float
    checked: float
    dead_letters: int
    footprints: dict[str, Footprint]
    violations: list[str]


class Soak:
    """Turns on a deployment, until the time is over."""

    def __init__(self, deployment: Deployment, seed: int, say: Callable[[str], None]) -> None:
        self._deployment = deployment
        self._seed = seed
        self._say = say
        self._deepest = 0

    async def run(self, seconds: float) -> list[Turn]:
        """Every turn. Ends early with one that broke the contract."""
        await self._deployment.ready()
        held = Footprints(self._deployment)
        end, turns = time.monotonic() + seconds, list[Turn]()
        while (left := end - time.monotonic()) > 0 and not any(turn.violations for turn in turns):
            turns.append(await self._turn(len(turns) + 1, min(TURN_SECONDS, left), held))
            self._say(told(len(turns), turns[-1]))
        await held.flat()
        self._deployment.check()
        return turns

    async def _turn(self, number: int, seconds: float, held: Footprints) -> Turn:
        began, struck = time.monotonic(), Counter[str]()
        load = Load(self._deployment, self._seed, Plan(clients=32, shared=16, pause=0.1, turn=number))
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
        return Turn(
            seconds=ended - began,
            outcomes=dict(Counter(op.outcome.value for op in load.history.ops)),
            operations=dict(Counter(type(op.action).__name__ for op in load.history.ops)),
            faults=dict(struck),
            p50=_percentile(load.history.ops, 50),
            p99=_percentile(load.history.ops, 99),
            deepest=self._deepest,
            converged=converged,
            checked=time.monotonic() - ended,
            dead_letters=self._deployment.dead_letters(),
            footprints=self._deployment.footprints(),
            violations=[f"{violation.rule}: {violation.detail}" for violation in violations],
        )

    async def _strike(
        self, load: Load, dice: random.Random, end: float, struck: Counter[str], held: Footprints
    ) -> None:
        async with load:
            while time.monotonic() < end:
                await asyncio.sleep(dice.uniform(*_REST))
                load.check_alive()
                if load.plan.turn == 1:
                    held.take_warm()
                case = dice.choice(CASES)
                await case.fault(self._deployment, dice)
                struck[case.fault.__name__] += 1
            await self._deployment.ready()

    async def _watch(self) -> None:
        while True:
            # The store may be away: that is a fault's doing.
            with contextlib.suppress(OSError, AssertionError):
                self._deepest = max(self._deepest, await asyncio.to_thread(self._deployment.owed))
            await asyncio.sleep(_GLANCE)


def _percentile(ops: list[Op], percent: float) -> float:
    times = sorted(op.end - op.start for op in ops if op.outcome is not Outcome.UNKNOWN)
    return 1000 * times[min(len(times) - 1, int(len(times) * percent / 100))]


def told(number: int, turn: Turn) -> str:
    """A line about a turn."""
    held = ", ".join(f"{name} {f.resident:.1f} MB/{f.descriptors}" for name, f in turn.footprints.items())
    done = sum(turn.outcomes.values())
    return (
        f"turn {number}: {done:,} operations in {turn.seconds:.0f} s ({turn.outcomes.get('unknown', 0)} unanswered), "
        f"p50/p99 {turn.p50:.1f}/{turn.p99:.0f} ms, {sum(turn.faults.values())} faults, at most {turn.deepest} owed, "
        f"converged in {turn.converged:.1f} s, {turn.dead_letters} dead letters, {len(turn.violations)} violations; "
        f"{held}"
    )


def summary(turns: list[Turn]) -> str:
    """The report's end."""
    operations, faults = Counter[str](), Counter[str]()
    for turn in turns:
        operations.update(turn.operations)
        faults.update(turn.faults)
    seconds = sum(turn.seconds for turn in turns)
    lines = [
        f"{seconds / 60:.1f} minutes, {operations.total():,} operations, {operations.total() / seconds:.0f}/s",
        "operations: " + ", ".join(f"{name} {count:,}" for name, count in operations.most_common()),
        f"faults: {faults.total()}: " + ", ".join(f"{name} {count}" for name, count in faults.most_common()),
        f"longest convergence {max(turn.converged for turn in turns):.1f} s; "
        f"violations {sum(len(turn.violations) for turn in turns)}; dead letters {turns[-1].dead_letters}",
        *(violation for turn in turns for violation in turn.violations[:5]),
    ]
    return "\n".join(lines)


@click.command()
@click.option("--seconds", default=1800.0, show_default=True, help="For how long.")
@click.option("--seed", default=lambda: secrets.randbelow(2**32), help="Repeats a run, as far as timing allows.")
@click.option("--out", type=click.Path(path_type=Path), default=Path(".bindery/soak"), show_default=True)
def main(seconds: float, seed: int, out: Path) -> None:
    """Load with faults, examined turn by turn."""
    out.mkdir(parents=True, exist_ok=True)
    lines = [f"seed {seed}"]

    def say(line: str) -> None:
        lines.append(line)
        click.echo(line)

    click.echo(lines[0])
    with tempfile.TemporaryDirectory() as directory, deployed(Path(directory)) as deployment:
        turns = uvloop.run(Soak(deployment, seed, say).run(seconds))
    say(summary(turns))
    (out / "soak.txt").write_text("\n".join(lines) + "\n")
    (out / "soak.json").write_bytes(msgspec.json.format(msgspec.json.encode(turns)))
    if any(turn.violations or turn.dead_letters for turn in turns):
        sys.exit(1)


if __name__ == "__main__":
    main()
