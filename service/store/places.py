"""How far an import has come: kept in the store, after what it has written, so that one that ended early goes on."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from service.store.section import Section

T = TypeVar("T")

_SECONDS = 7 * 86_400


class Place(Generic[T]):
    """The place of one import, by the name of what is imported; forgotten after a week."""

    def __init__(self, section: Section, name: bytes, kind: type[T]) -> None:
        self._section = section
        self._name = name
        self._decoder = msgspec.msgpack.Decoder(kind)

    async def get(self) -> T | None:
        """What was noted last; None if nothing was, or by another version."""
        found = await self._section.run("place", b"get", self._name)
        try:
            return self._decoder.decode(found) if found else None
        except msgspec.MsgspecError:
            return None

    async def set(self, place: T) -> None:
        """Note it."""
        await self._section.run("place", b"set", self._name, msgspec.msgpack.encode(place), b"%d" % _SECONDS)

    async def clear(self) -> None:
        """Forget it: the import is done."""
        await self._section.run("place", b"clear", self._name)
