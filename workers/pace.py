"""How long a drain may wait for more work to come together, so that a busy lane costs less per registration.

A batch costs two transactions and a job, whatever is in it. At hundreds of registrations a second in one lane, taking
each as it comes makes workers and store do several times the work; a wait that nobody notices gathers them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from service.domain.jobs import Lane

GATHER_SECONDS = 0.025
"""What a registration may be held back for. Only ever where it has company."""

_COMPANY = 2.0
"""So many entries must be expected within that time, or waiting gathers nothing."""

_WEIGHT = 0.2
_FORGOTTEN = 1.0
# Two that happen to come together are no load: no gap counts as shorter.
_MOMENT = 0.005


class Pace:
    """The rate at which each lane's work has come lately, in entries per second.

    ``has_room`` says whether a job that waits keeps no other from running.
    """

    def __init__(self, has_room: Callable[[], bool]) -> None:
        self._has_room = has_room
        self._seen: dict[Lane, tuple[float, float]] = {}

    def wait_for(self, lane: Lane, taken: int, most: int) -> float:
        """Seconds to wait before the lane's next batch, after one of ``taken`` entries where ``most`` was the limit."""
        now = time.monotonic()
        before, rate = self._seen.get(lane, (0.0, 0.0))
        if now - before > _FORGOTTEN:
            rate = 0.0
        else:
            rate += _WEIGHT * (taken / max(now - before, _MOMENT) - rate)
        self._seen[lane] = now, rate
        gathers = taken < most and rate * GATHER_SECONDS >= _COMPANY
        return GATHER_SECONDS if gathers and self._has_room() else 0.0
