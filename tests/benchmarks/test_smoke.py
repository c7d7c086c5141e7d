"""Every benchmark works: tiny volumes on the real processes, each checking its own answers and final state.

What a volume this small measures means nothing, and nothing here looks at it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.benchmarks import draining, growth, latency, matrix, picture, report, rounds, sizing
from tests.benchmarks.figures import Figures, rows
from tests.benchmarks.load import Result
from tests.benchmarks.measuring import measure, percentile, spread
from tests.benchmarks.peers import django_push
from tests.benchmarks.scale import SMOKE

pytestmark = pytest.mark.slow


def _say(_: str) -> None:
    """Nobody listens."""


async def test_rounds_and_draining_check_themselves_and_make_a_report(tmp_path: Path) -> None:
    """Each case gets the status it expects and leaves the state it must, and the report tells of every target."""
    async with rounds.parties(tmp_path, SMOKE, django=False) as (listed, hello, site):
        found = await rounds.run(listed, hello, SMOKE.rounds, _say)
        drained = await draining.run(site, tmp_path, SMOKE, _say)
    figures = Figures(scale=SMOKE, rounds=found, draining=drained)
    assert set(found.cases) == {case.name for case in listed}
    assert len(rows(figures)) == 7
    assert "| unchanged registration |" in report.cases(figures)
    kept = msgspec.json.decode(report.save(tmp_path, figures, []).read_bytes(), type=report.Report)
    assert len(kept.targets) == 7
    assert "| a new registration, until it is applied |" in sizing.tables([kept])


async def test_latency_sees_every_registration_applied(tmp_path: Path) -> None:
    """At every load each registration is seen applied, and the ledger is empty in the end."""
    found = await latency.run(tmp_path, SMOKE, 300, _say)
    assert found.idle.applied_p99 >= found.idle.applied_p50 >= 0
    assert found.sustained.depths
    assert set(found.idle_cpu) == {"api", "worker", "valkey"}


async def test_growth_weighs_both_stores(tmp_path: Path) -> None:
    """Both stores are filled, weighed, and registered in."""
    found = await growth.run(tmp_path, SMOKE, _say)
    assert found.bytes_apn > 100
    assert found.bytes_fcm > found.bytes_apn
    assert len(found.small) == len(found.large) == SMOKE.rounds


async def test_the_matrix_has_a_cell_for_each_size_and_number(tmp_path: Path) -> None:
    """Two API processes and two workers share their work as one of each does it alone."""
    [cell] = await matrix.run(tmp_path, SMOKE, _say, sizes=[100], processes=[2])
    assert set(cell.rates) == {"new", "unchanged", "lookup"}
    assert "| 100 | 2 |" in report.matrix([cell])


async def test_the_django_peer_registers_devices(tmp_path: Path) -> None:
    """The peer answers 201 for each device, and its database has just these."""
    pytest.importorskip("push_notifications", reason="`make bench` installs the peer")
    with django_push.case("django", tmp_path, 20, 2) as case:
        for number in range(2):
            await measure(case.endpoint, await case.prepare(number))


def test_the_picture_needs_no_display(tmp_path: Path) -> None:
    """A run without any part still draws."""
    pytest.importorskip("matplotlib", reason="`make bench` installs it")
    assert picture.draw(tmp_path, Figures(scale=SMOKE)).stat().st_size > 0


def test_a_wrong_status_is_an_error() -> None:
    """A benchmark whose requests were refused measures nothing, and says so."""
    result = Result(
        seconds=1, cpu_seconds=0, latencies=[0.1], answered=[0.1], statuses={401: 1}, sample=[], unexpected="no"
    )
    with pytest.raises(AssertionError, match="401"):
        result.check(202)


def test_figures_are_medians_with_their_spread() -> None:
    """The median stands beside the least and the greatest; percentiles are of the nearest rank."""
    assert str(spread([3, 1, 2])) == "2.00 (1.00–3.00)"
    assert percentile([1, 2, 3, 4], 50) == 3
    assert percentile([1, 2, 3, 4], 99) == 4
