"""Whether a worker lives and can work: what its probes are told."""

from __future__ import annotations

import asyncio
import time

from service.bootstrap import Runtime
from service.readiness import WORKER_NEEDS, Liveness, Readiness, readiness
from service.telemetry.listener import Probe

_PATIENCE = 60.0
_CALLS = 5


class Health:
    """Live if its loop turns, ready if it can take work. An outage of the store or the queue ends no turn for good."""

    def __init__(self, running: Runtime, stop: asyncio.Event) -> None:
        self._running, self._stop = running, stop
        # Within one turn the queue may be asked for in vain some times over, or a job wait for a backend.
        self._stalled = _PATIENCE + _CALLS * running.settings.redis_timeout
        self._turned = time.monotonic()
        self.started = False
        """Whether it has begun to take work."""

    def turn(self) -> None:
        """The loop has come round once more."""
        self._turned = time.monotonic()

    @property
    def probes(self) -> dict[str, Probe]:
        """What the listener answers with."""
        return {"/livez": self.live, "/readyz": self.ready}

    async def live(self) -> tuple[bool, Liveness]:
        """Whether the loop turns."""
        turns = time.monotonic() - self._turned < self._stalled
        return turns, Liveness() if turns else Liveness("stalled")

    async def ready(self) -> tuple[bool, Readiness]:
        """Whether it can take work."""
        own = "stopping" if self._stop.is_set() else "ok" if self.started else "starting"
        found = await readiness(self._running, own, WORKER_NEEDS)
        return found.ready, found
