"""Whether processes hold at the end what they held at the beginning: memory and file descriptors stay flat."""

from __future__ import annotations

import contextlib

from tests.faults.process import Footprint
from tests.faults.running import Running, until

DESCRIPTORS, CONNECTIONS = 4, 40
"""By how many the end may differ from the idle beginning: where some are just being replaced; and where as many may be
kept as were ever needed at the same time, which is one for each job of a worker, at both ends."""

GROWTH, STORE_GROWTH = 8.0, 24.0
"""MB by which a process may have grown since it was warm, and a server of the store: one or two were seen, and what
fences, events and ten MB of a replication backlog take."""


class Footprints:
    """What each process of a deployment held, idle before the load and warm in the middle of it.

    A process that was started again since is measured by what its predecessor held.
    """

    def __init__(self, running: Running) -> None:
        self._running = running
        self.idle = running.footprints()
        self.warm = dict(self.idle)

    def take_warm(self) -> None:
        """Note what they hold now, under load, as what is to stay."""
        for name, now in self._running.footprints().items():
            known = self.warm.get(name, now)
            self.warm[name] = Footprint(max(known.resident, now.resident), max(known.descriptors, now.descriptors))

    async def flat(self) -> dict[str, Footprint]:
        """Return once the descriptors of the load are closed; answers what is held then.

        Raises:
            AssertionError: some are not, a process is missing, or one has grown.
        """
        with contextlib.suppress(TimeoutError):
            await until(lambda: not self._open(), "file descriptors are closed again", 10.0)
        assert not self._open(), f"file descriptors were not closed again: {self.idle} then, now {self._open()}"
        now = self._running.footprints()
        assert now.keys() >= self.idle.keys(), f"there is no {self.idle.keys() - now.keys()} any more"
        for name, held in now.items():
            grown = held.resident - self.warm[name].resident
            most = STORE_GROWTH if name.startswith("valkey") else GROWTH
            assert grown < most, f"the {name} has grown by {grown:.1f} MB: {self.warm[name]}, {held}"
        return now

    def _open(self) -> dict[str, Footprint]:
        now = self._running.footprints()
        return {name: held for name, held in now.items() if held.descriptors > self._most(name)}

    def _most(self, name: str) -> int:
        keeps = name.startswith(("worker", "valkey"))
        return self.idle[name].descriptors + (CONNECTIONS if keeps else DESCRIPTORS)
