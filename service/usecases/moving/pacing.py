"""The pace of what goes through everything that a Service has."""

from __future__ import annotations

import asyncio
import time


class RateLimit:
    """At most ``rate`` things a second on average from now on; None: as fast as it goes."""

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._began = time.monotonic()
        self._done = 0

    async def keep(self, done: int) -> None:
        """Wait until so many more are no longer too many."""
        if self._rate is None:
            return
        self._done += done
        await asyncio.sleep(max(0.0, self._began + self._done / self._rate - time.monotonic()))
