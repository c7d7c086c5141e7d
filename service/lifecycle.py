"""Whether this process is on its way out, or did not come to serve at all."""

from __future__ import annotations


class Lifecycle:
    """Set once, when the process has been told to stop: from then on it is not ready, though it still answers."""

    def __init__(self) -> None:
        self.stopping = False
        self.leaving = False
        """Whether no more requests are taken: who waits for something is answered with what is known."""
        self.refused = False
        """Whether it will not serve, and has said why."""

    @property
    def said(self) -> str:
        """What a readiness probe is told."""
        return "stopping" if self.stopping else "ok"


process = Lifecycle()
"""This process's own: its server sets it, and whoever answers probes reads it."""
