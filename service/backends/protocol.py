"""What a backend of bindings must do. It speaks of records and failures, never of HTTP.

Every call is idempotent: reconciliation repeats it whenever it cannot know that it took effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from service.domain.record import Record


class Failure(msgspec.Struct, frozen=True):
    """Why a backend did not do what it was asked to. ``reason`` goes to the dead letters: no address in it."""

    reason: str
    final: bool = False
    """Whether asking again cannot help."""


class NotifyBackend(Protocol):
    """Holds Notify bindings: at most one for an address in a Service."""

    async def put(self, records: Sequence[Record]) -> Sequence[Failure | None]:
        """Make each record's binding exist as desired, replacing what holds its address; one answer for each."""
        ...

    async def delete(self, records: Sequence[Record]) -> Sequence[Failure | None]:
        """Make sure that no binding for each record's address is left; one answer for each."""
        ...


class ChatBackend(Protocol):
    """Holds Chat bindings: at most one for an identity, endpoint and type in a Service."""

    async def put(self, records: Sequence[Record]) -> Sequence[Failure | None]:
        """Make each Chat binding exist as desired; one answer for each."""
        ...

    async def delete(self, records: Sequence[Record]) -> Sequence[Failure | None]:
        """Make sure that none of these Chat bindings is left; one answer for each."""
        ...
