"""What a soak came to, turn by turn and in all."""

from __future__ import annotations

from collections import Counter

import msgspec

from tests.faults.process import Footprint


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What one turn came to. Times are in seconds, latencies in milliseconds."""

    seconds: float
    outcomes: dict[str, int]
    operations: dict[str, int]
    latencies: dict[str, tuple[float, float]]
    """Half and 99 % of each operation's answers came within; requests that waited for a fault to pass included."""
    struck: list[tuple[str, float]]
    """Each fault, and how long after it all that was owed then had been taken up, under load."""
    deepest: int
    """Entries in the ledgers, at most."""
    converged: float
    checked: float
    dead_letters: int
    footprints: dict[str, Footprint]
    violations: list[str]


def percentile(times: list[float], percent: float) -> float:
    """The least of some times that so many percent of them keep within."""
    return sorted(times)[min(len(times) - 1, int(len(times) * percent / 100))]


def told(number: int, turn: Turn) -> str:
    """A line about a turn."""
    held = ", ".join(f"{name} {f}" for name, f in turn.footprints.items())
    return (
        f"turn {number}: {sum(turn.outcomes.values()):,} operations in {turn.seconds:.0f} s "
        f"({turn.outcomes.get('unknown', 0)} unanswered), {len(turn.struck)} faults, at most {turn.deepest} owed, "
        f"converged in {turn.converged:.1f} s, {turn.dead_letters} dead letters, {len(turn.violations)} violations; "
        f"{held}"
    )


def summary(turns: list[Turn]) -> str:
    """The report's end."""
    operations, outcomes = Counter[str](), Counter[str]()
    waits, latencies = dict[str, list[float]](), dict[str, list[tuple[float, float]]]()
    for turn in turns:
        operations.update(turn.operations)
        outcomes.update(turn.outcomes)
        for name, seconds in turn.struck:
            waits.setdefault(name, []).append(seconds)
        for name, pair in turn.latencies.items():
            latencies.setdefault(name, []).append(pair)
    minutes = sum(turn.seconds for turn in turns) / 60
    lines = [
        f"{minutes:.1f} minutes, {operations.total():,} operations, {operations.total() / minutes / 60:.0f}/s: "
        + ", ".join(f"{name} {count:,}" for name, count in outcomes.most_common()),
        "operation, how many, milliseconds within which half and 99 % were answered (medians of the turns):",
        *(f"  {name:<9} {count:>9,} {_middle(latencies[name])}" for name, count in operations.most_common()),
        f"{sum(map(len, waits.values()))} faults, and the most seconds until what was owed was taken up, under load:",
        *(f"  {name:<28} {len(seconds):>4} {max(seconds):>6.2f}" for name, seconds in sorted(waits.items())),
        f"at most {max(turn.deepest for turn in turns)} owed; "
        f"longest convergence in the end of a turn {max(turn.converged for turn in turns):.1f} s",
        f"violations {sum(len(turn.violations) for turn in turns)}; dead letters {turns[-1].dead_letters}",
        *(violation for turn in turns for violation in turn.violations[:5]),
    ]
    return "\n".join(lines)


def _middle(pairs: list[tuple[float, float]]) -> str:
    half, most = ([pair[n] for pair in pairs] for n in (0, 1))
    return f"{percentile(half, 50):>8.1f} {percentile(most, 50):>8.0f}"
