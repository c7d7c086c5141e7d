"""Walking an upstream's lists: page by page, and by identities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from service.backends.twilio.errors import OutcomeUnknown

T = TypeVar("T")

IDENTITIES = 40
"""Identities that one request names at most, where so many fit into a URL that everything on the way takes."""

_QUERY_BYTES = 4096


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Bindings, and what leads to the next page; None after the last. It can be kept, and gone on from later."""

    bindings: tuple[T, ...]
    next: str | None


class Trail:
    """Where in a list one has been: a list that leads back there has no end."""

    def __init__(self) -> None:
        self._been: set[str | None] = set()

    def pass_by(self, at: str | None) -> None:
        """Note a place, None for the beginning.

        Raises:
            OutcomeUnknown: one has been there.
        """
        if at in self._been:
            raise OutcomeUnknown("the list does not end")
        self._been.add(at)


def query(pairs: Sequence[tuple[str, str]]) -> str:
    """A query string, or the body of a form."""
    return urlencode(pairs, quote_via=quote, safe="")


def cursor(next_page_url: str | None) -> str | None:
    """What of a next page's URL is gone on with: its query.

    Never its host or its path: credentials go where the settings say and nowhere else.
    """
    return urlsplit(next_page_url).query or None if next_page_url else None


def groups(identities: Sequence[str]) -> Iterator[list[str]]:
    """Identities in groups that one request can name."""
    group: list[str] = []
    size = 0
    for identity in dict.fromkeys(identities):
        length = len(quote(identity, safe="")) + len("Identity=&")
        if group and (len(group) == IDENTITIES or size + length > _QUERY_BYTES):
            yield group
            group, size = [], 0
        group.append(identity)
        size += length
    if group:
        yield group
