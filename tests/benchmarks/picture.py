"""The picture of a run: rates against the floor, and the ledger under a steady load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.benchmarks.figures import Figures
from tests.benchmarks.rounds import LOOKUP, NEW, UNCHANGED_KNOWN

_TARGETS = {UNCHANGED_KNOWN: 0.75, NEW: 0.55, LOOKUP: 0.6}


def draw(folder: Path, figures: Figures) -> Path:
    """Write ``bench.png``; answers its path."""
    import matplotlib as mpl  # late: only the bench dependencies have it

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(14, 6), width_ratios=(3, 2))
    _rates(left, figures)
    _ledger(right, figures)
    figure.tight_layout()
    path = folder / "bench.png"
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path


def _rates(axes: Any, figures: Figures) -> None:
    axes.set_title("Requests per second, to hello in the same round")
    if figures.rounds is None:
        return
    names = list(figures.rounds.cases)[::-1]
    found = [figures.rounds.to_floor(name) for name in names]
    spans = [[s.median - s.least for s in found], [s.greatest - s.median for s in found]]
    axes.barh(names, [s.median for s in found], xerr=spans, color="#4c78a8", ecolor="#888888")
    for name, target in _TARGETS.items():
        at = names.index(name)
        axes.plot([target, target], [at - 0.45, at + 0.45], color="#e45756", linewidth=2)
    axes.axvline(1, color="#888888", linewidth=1)
    axes.set_xlabel("1 = hello; whiskers: least and greatest round; red: target")


def _ledger(axes: Any, figures: Figures) -> None:
    axes.set_title("Entries in the ledger")
    if figures.latencies is None:
        return
    found = figures.latencies
    for name, steady in (("half load", found.half), ("70 % of the slowest round", found.sustained)):
        times, depths = zip(*steady.depths, strict=True)
        axes.plot(times, depths, label=f"{name}: {steady.rate:,.0f}/s")
    axes.legend()
    axes.set_xlabel("seconds")
    axes.set_ylim(bottom=0)
