"""How long a drain waits for company: only where it comes, and only where nobody else waits for its place."""

from __future__ import annotations

import pytest

from service.domain.jobs import Lane, Ledger
from workers.pace import GATHER_SECONDS, Pace

LANE, OTHER = Lane("IS" + "1" * 32, Ledger.NOTIFY, 0), Lane("IS" + "1" * 32, Ledger.NOTIFY, 1)


class Clock:
    """The time that a pace sees."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("workers.pace.time.monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Moved by hand."""
    return Clock(monkeypatch)


def waits(pace: Pace, clock: Clock, lane: Lane, *, every: float, taken: int, batches: int) -> list[float]:
    """What a lane's batches of so many entries are told, when one comes every so many seconds."""
    told = []
    for _ in range(batches):
        clock.now += every
        told.append(pace.wait_for(lane, taken, 200))
    return told


def test_a_lone_registration_is_never_held_back(clock: Clock) -> None:
    """Not at ten a second, nor if two come within a few milliseconds."""
    pace = Pace(lambda: True)
    assert not any(waits(pace, clock, LANE, every=0.1, taken=1, batches=100))
    assert pace.wait_for(LANE, 1, 200) == 0
    clock.now += 0.01
    assert pace.wait_for(LANE, 1, 200) == 0


def test_a_busy_lane_is_gathered_and_a_quiet_one_beside_it_is_not(clock: Clock) -> None:
    """Hundreds a second in one lane say nothing of another; and after a second of silence nothing is expected."""
    pace = Pace(lambda: True)
    assert waits(pace, clock, LANE, every=0.005, taken=2, batches=50)[-1] == GATHER_SECONDS
    assert pace.wait_for(OTHER, 1, 200) == 0
    clock.now += 1.1
    assert pace.wait_for(LANE, 1, 200) == 0


def test_a_backlog_is_drained_without_a_pause(clock: Clock) -> None:
    """A full batch means that there is more."""
    assert not any(waits(Pace(lambda: True), clock, LANE, every=0.005, taken=200, batches=50))


def test_nothing_waits_where_others_wait_for_its_place(clock: Clock) -> None:
    """A worker whose places are taken lets none of them lie idle."""
    assert not any(waits(Pace(lambda: False), clock, LANE, every=0.005, taken=2, batches=50))
