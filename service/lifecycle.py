"""Whether this process is on its way out, or did not come to serve at all."""

from __future__ import annotations


class Lifecycle:
    """How far this process is on its way out."""

    def __init__(self) -> None:
        self.stopping = False
        """Whether it has been told to stop: it is not ready, though it still answers."""
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
