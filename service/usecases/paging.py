"""Pages of a list, in the order of the fingerprints, so that deleting while paging neither skips nor repeats."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

import msgspec

from service.domain.errors import BadPageToken
from service.domain.record import Record
from service.store.reading import Reading

T = TypeVar("T")


class Placed(Protocol):
    """What has a place in a list."""

    @property
    def fingerprint(self) -> bytes:
        """Its place."""
        ...


R = TypeVar("R", bound=Placed)

_SCANS_PER_PAGE = 8
"""Calls to the store for one page: a filter that matches nothing answers short pages rather than never."""
_RECORDS_PER_SCAN = 1000


class Position(msgspec.Struct, frozen=True):
    """Where a page starts: next to a fingerprint (empty: at the edge of the list), going on or back.

    In a list that is an upstream's own it is ``there``, the query that leads on, and nothing else.
    """

    fingerprint: bytes = b""
    backwards: bool = False
    there: str = ""

    def check_is_here(self) -> None:
        """Raises BadPageToken if it is one at an upstream: a list that was begun there is another list."""
        if self.there:
            raise BadPageToken


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Items in list order, and where the neighbouring pages start, if there are any."""

    items: list[T]
    previous: Position | None
    next: Position | None


async def scan_page(
    reading: Reading, match: Callable[[Record], T | None], start: Position, size: int, *, chat: bool = False
) -> Page[T]:
    """A page of a Service-wide list. A page may be short, or empty, with more to come.

    Raises:
        BadPageToken: it starts at an upstream.
    """
    start.check_is_here()
    found: list[tuple[bytes, T]] = []
    position, ended = start.fingerprint, False
    for attempt in range(_SCANS_PER_PAGE):
        # Where nothing is filtered out, the first call is enough.
        wish = _RECORDS_PER_SCAN if attempt else size + 1
        records, position = await reading.scan(chat=chat, position=position, backwards=start.backwards, records=wish)
        for record in records:
            item = match(record)
            if item is not None:
                found.append((record.fingerprint, item))
        ended = position == b""
        if ended or len(found) > size:
            break
    more = None if ended and len(found) <= size else position
    if len(found) > size:
        more = found[size - 1][0]
    return _page(found[:size], start, more)


def slice_page(records: Iterable[R], match: Callable[[R], T | None], start: Position, size: int) -> Page[T]:
    """A page of a list that is at hand as a whole. Raises as ``scan_page``."""
    start.check_is_here()
    found: list[tuple[bytes, T]] = []
    for record in sorted(records, key=lambda r: r.fingerprint, reverse=start.backwards):
        key = record.fingerprint
        beyond = not start.fingerprint or (key < start.fingerprint if start.backwards else key > start.fingerprint)
        item = match(record) if beyond else None
        if item is not None:
            found.append((key, item))
    return _page(found[:size], start, found[size - 1][0] if len(found) > size else None)


def _page(found: list[tuple[bytes, T]], start: Position, more: bytes | None) -> Page[T]:
    ahead = None if more is None else Position(more, start.backwards)
    behind = None
    if start.fingerprint:
        # The way back starts at what this page shows first. If it shows nothing, it starts one step beyond where the
        # page itself started: a position is no part of its page, and what stands there may still exist.
        behind = Position(found[0][0] if found else _beyond(start), not start.backwards)
    if start.backwards:
        return Page([item for _, item in reversed(found)], previous=ahead, next=behind)
    return Page([item for _, item in found], previous=behind, next=ahead)


def _beyond(start: Position) -> bytes:
    size, step = len(start.fingerprint), -1 if start.backwards else 1
    number = int.from_bytes(start.fingerprint) + step
    return number.to_bytes(size) if 0 <= number < 256**size else start.fingerprint
