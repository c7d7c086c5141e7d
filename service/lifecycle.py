"""Whether this process is on its way out."""

from __future__ import annotations


class Lifecycle:
    """Set once, when the process has been told to stop: from then on it is not ready, though it still answers."""

    def __init__(self) -> None:
        self.stopping = False

    @property
    def said(self) -> str:
        """What a readiness probe is told."""
        return "stopping" if self.stopping else "ok"


process = Lifecycle()
"""This process's own: its server sets it, and whoever answers probes reads it."""
