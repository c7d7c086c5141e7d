"""The embedded backend: the record is the binding, so that settling it is all there is to do."""

from __future__ import annotations

from collections.abc import Sequence

from service.backends.protocol import Failure
from service.domain.record import Record


class _InTheRecord:
    async def put(self, records: Sequence[Record]) -> Sequence[Failure | None]:
        """Nothing to do: once settled, the record's desired version is the visible binding."""
        return [None] * len(records)

    async def delete(self, records: Sequence[Record]) -> Sequence[Failure | None]:
        """Nothing to do: once settled, the record is gone."""
        return [None] * len(records)


class EmbeddedNotify(_InTheRecord):
    """Notify bindings in our own records."""


class EmbeddedChat(_InTheRecord):
    """Chat bindings in our own records."""
