"""What the vendor's three Binding resources have in common: fetch, delete, and lists by page or by identity."""

from __future__ import annotations

import math
import random
import time
from collections.abc import AsyncIterator, Sequence
from typing import Final, Generic, TypeAlias, TypeVar

from service.backends.twilio.account import Account, Attempt
from service.backends.twilio.bindings import ChatBinding, NotifyBinding, read_one, read_page
from service.backends.twilio.errors import NotTheApi, Refused
from service.backends.twilio.pages import Page, Trail, cursor, groups, query

B = TypeVar("B", bound=NotifyBinding | ChatBinding)

Unlisted: TypeAlias = Refused | NotTheApi
"""Why an identity could not be listed: the upstream takes it for none, or a firewall does not let it through."""

NOBODYS: Final = "BS" + "0" * 32
"""A binding that nobody has."""


class Bindings(Generic[B]):
    """The bindings of one Service there. Every method raises ``NotDone``, ``Refused`` and ``OutcomeUnknown``."""

    def __init__(self, account: Account, kind: type[B], path: str, start: Sequence[tuple[str, str]]) -> None:
        self.account = account
        self._kind = kind
        self._path = path
        self._start = tuple(start)

    async def fetch(self, sid: str, attempt: Attempt | None = None) -> B | None:
        """The binding of a SID, or None."""
        try:
            answer = await self.account.request("GET", f"{self._path}/{sid}", operation="fetch", attempt=attempt)
        except Refused as refused:
            if refused.missing:
                return None
            raise
        return read_one(answer, self._kind)

    async def delete(self, sid: str, attempt: Attempt | None = None) -> bool:
        """Delete the binding of a SID; answers False if there is none (any more), which is as well."""
        try:
            await self.account.request("DELETE", f"{self._path}/{sid}", operation="delete", attempt=attempt)
        except Refused as refused:
            if refused.missing:
                return False
            raise
        return True

    async def of(self, identities: Sequence[str], attempt: Attempt | None = None) -> list[B]:
        """Every binding of these identities, once."""
        # Pages that shift while they are walked may show one twice.
        found: dict[str, B] = {}
        for group in groups(identities):
            start = query([*(("Identity", identity) for identity in group), *self._start])
            async for bindings in self.walk(start, attempt):
                found |= {binding.sid: binding for binding in bindings}
        return list(found.values())

    async def of_each(
        self, identities: Sequence[str], attempt: Attempt | None = None
    ) -> tuple[list[B], dict[str, Unlisted]]:
        """The same, where one identity that the upstream takes for none holds up no other; and what it says of each.

        A group that is refused is halved until these are by themselves: one of forty takes a dozen requests. So is one
        that somebody in front of the upstream refuses, as long as he lets another request through. Once half of the
        time is over no more are halved: who has not been looked for by then counts as held up by a firewall.
        """
        found: list[B] = []
        refused: dict[str, Unlisted] = {}
        deadline = attempt.deadline if attempt else None
        until = math.inf if deadline is None else (time.monotonic() + deadline) / 2
        groups_left = list(groups(identities))[::-1]
        while groups_left:
            group = groups_left.pop()
            try:
                found += await self.of(group, Attempt(deadline, narrowing=True))
            except (Refused, NotTheApi) as error:
                if isinstance(error, NotTheApi):
                    # Raises where it is not this list: a refusal of everything is an outage, and each is asked once.
                    await self.fetch(NOBODYS, Attempt(deadline))
                elif not error.bad_request:
                    raise
                if len(group) == 1:
                    refused[group[0]] = error
                elif time.monotonic() > until:
                    refused |= dict.fromkeys(group, NotTheApi("there was no time to look for whom it is about"))
                else:
                    halves = [group[: len(group) // 2], group[len(group) // 2 :]]
                    # In any order: if time runs out, it is not always the same that are left.
                    random.shuffle(halves)
                    groups_left += halves
        return found, refused

    async def walk(self, at: str | None = None, attempt: Attempt | None = None) -> AsyncIterator[tuple[B, ...]]:
        """What the pages show, from the first of all bindings on, or from the page that ``at`` leads to."""
        trail, more = Trail(), True
        while more:
            trail.pass_by(at)
            page = await self.page(at, attempt)
            yield page.bindings
            at = page.next
            more = at is not None

    async def page(self, at: str | None = None, attempt: Attempt | None = None) -> Page[B]:
        """A page of all bindings: the first, or the one that an earlier page led to."""
        path = f"{self._path}?{at or query(self._start)}"
        answer = await self.account.request("GET", path, operation="list", attempt=attempt)
        found = read_page(answer, self._kind)
        return Page(found.bindings, cursor(found.meta.next_page_url))
