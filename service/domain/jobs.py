"""What goes through the job queue: never what to do, only where to look, so that jobs may be lost or repeated."""

from __future__ import annotations

from enum import Enum

import msgspec

LANES = 8
"""Lanes of each ledger of a Service. Scripts know the number too: it is part of the store's schema."""


class Ledger(Enum):
    """The two lists of work owed; the value is the letter in the store's keys."""

    NOTIFY = "n"
    CHAT = "h"


class Lane(msgspec.Struct, frozen=True, array_like=True):
    """One shard of a Service's ledger: the unit of draining."""

    service: str
    ledger: Ledger
    number: int

    @property
    def key(self) -> str:
        """Its ledger's letter and its number, as scripts name it."""
        return f"{self.ledger.value}{self.number}"


class DrainLane(msgspec.Struct, frozen=True, array_like=True):
    """The one job: drain a lane until nothing in it is due. ``traceparent`` is W3C Trace Context of the request."""

    lane: Lane
    traceparent: str | None = None
