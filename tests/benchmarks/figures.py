"""Everything that one run has measured, and the targets that it is held to."""

from __future__ import annotations

import msgspec

from tests.benchmarks.draining import Draining
from tests.benchmarks.growth import Growth
from tests.benchmarks.latency import Latencies
from tests.benchmarks.measuring import Spread, spread
from tests.benchmarks.rounds import DJANGO, ENQUEUE, LOOKUP, NEW, NEW_EVERYSEC, UNCHANGED_KNOWN, Rounds
from tests.benchmarks.scale import Scale


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured; parts that were left out are None."""

    scale: Scale
    rounds: Rounds | None = None
    draining: Draining | None = None
    latencies: Latencies | None = None
    growth: Growth | None = None


class Row(msgspec.Struct, frozen=True):
    """A figure beside its target."""

    figure: str
    target: str
    measured: str
    met: bool


def rows(figures: Figures) -> list[Row]:
    """The table of targets, as far as it was measured."""
    found: list[Row] = []
    if figures.rounds is not None:
        found += _of_rounds(figures.rounds)
    if figures.draining is not None:
        found.append(_least("drained by one worker, to plain arq", 15, figures.draining.ratio()))
    if figures.rounds is not None:
        found.append(_least("new registration, always to everysec", 0.9, figures.rounds.ratio(NEW, NEW_EVERYSEC)))
    if figures.latencies is not None:
        found += _of_latencies(figures.latencies, figures.scale)
    if figures.growth is not None:
        found += _of_growth(figures.growth, figures.scale)
    if figures.rounds is not None and DJANGO in figures.rounds.cases:
        found.append(_least("new registration, to django-push-notifications", 8, figures.rounds.ratio(NEW, DJANGO)))
    return found


def _of_rounds(rounds: Rounds) -> list[Row]:
    return [
        _least("unchanged registration, to hello", 0.75, rounds.to_floor(UNCHANGED_KNOWN)),
        _least("new registration, to hello", 0.55, rounds.to_floor(NEW)),
        _least("new registration, to a redis-py pool with enqueue_job", 3, rounds.ratio(NEW, ENQUEUE)),
        _least("the same, until all are applied", 3, rounds.applied_ratio(NEW, ENQUEUE)),
        _least("lookup of one identity with 3 bindings, to hello", 0.6, rounds.to_floor(LOOKUP)),
    ]


def _of_latencies(found: Latencies, scale: Scale) -> list[Row]:
    steady = found.sustained
    load = f"at 70 % of the slowest round ({steady.rate:,.0f}/s for {scale.sustained_seconds:g} s)"
    return [
        _most("answered to applied at idle, p50 (ms)", 5, found.idle.applied_p50),
        _most("answered to applied at idle, p99 (ms)", 15, found.idle.applied_p99),
        _most("idle worker (% of a core)", 1, found.idle_cpu["worker"]),
        Row(f"{load}, ledger", "bounded", f"at most {steady.deepest:,} entries", steady.bounded),
        _most(f"{load}, answered to applied, p99 (ms)", 100, steady.applied_p99),
    ]


def _of_growth(growth: Growth, scale: Scale) -> list[Row]:
    return [
        _most(f"bytes per device, {scale.large:,} of APNs", 400, growth.bytes_apn),
        _most(f"bytes per device, {scale.fcm:,} of FCM", 500, growth.bytes_fcm),
        _most(f"CPU of a registration, {scale.small:,} to {scale.large:,} devices", 1.15, growth.cost()),
    ]


def _least(figure: str, target: float, measured: Spread | float) -> Row:
    found = measured if isinstance(measured, Spread) else spread([measured])
    return Row(figure, f">= {target:g}", _text(measured), found.median >= target)


def _most(figure: str, target: float, measured: Spread | float) -> Row:
    found = measured if isinstance(measured, Spread) else spread([measured])
    return Row(figure, f"<= {target:g}", _text(measured), found.median <= target)


def _text(measured: Spread | float) -> str:
    return (
        str(measured) if isinstance(measured, Spread) else f"{measured:,.2f}" if measured < 10 else f"{measured:,.0f}"
    )
