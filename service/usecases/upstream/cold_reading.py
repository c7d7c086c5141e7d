"""Cold reads: what an upstream has of an identity, and was never registered here, is adopted when somebody asks for it.

Once for all who ask at the same time, in all processes; while the answer counts nobody asks again. And nobody waits for
long: what fails, or takes longer, is left to the workers, and callers get what is known.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, NamedTuple

import structlog

from service.backends.twilio import UpstreamError
from service.backends.twilio.pages import IDENTITIES
from service.domain.errors import BinderyError, StoreFull, UpstreamSilent
from service.domain.sids import BindingSid
from service.store.listings import CLAIM_MS, Asked, Listings, Standing
from service.telemetry.catalogue import CACHE_LOOKUPS

PATIENCE: Final = 1.0
"""Seconds that a caller waits for an upstream's list at most."""

_LOOK_SECONDS = 0.05

_hits, _misses = (CACHE_LOOKUPS.labels("upstream_lists", result) for result in ("hit", "miss"))

_log = structlog.get_logger(__name__)


class _Flight(NamedTuple):
    """Asking the upstream, and when (on the monotonic clock) nobody waits for that any more."""

    task: asyncio.Task[None]
    end: float


class ColdReads:
    """Those of one Service in one process.

    ``list_`` and ``fetch`` ask and adopt: identities, answering for each whether there is nothing (None if that could
    not be told), and a SID, answering whether there is such a binding.
    """

    def __init__(
        self,
        listings: Listings,
        *,
        list_: Callable[[Sequence[str], int], Awaitable[list[bool | None]]],
        fetch: Callable[[BindingSid, int], Awaitable[bool]],
        is_well: Callable[[], Awaitable[bool]],
    ) -> None:
        self._listings = listings
        self._adopt_identities = list_
        self._adopt_sid = fetch
        self._is_well = is_well
        self._flights: dict[bytes, _Flight] = {}

    async def warm(self, identities: Sequence[str]) -> None:
        """Return when what the upstream has of these identities is known here, or will not be soon.

        Raises:
            StoreUnavailable, TooManyRequests
        """
        await self._asked([self._listings.of(identity) for identity in dict.fromkeys(identities)])

    async def find(self, sid: BindingSid) -> None:
        """Return when it is known here whether the upstream has a binding of this SID.

        Raises:
            UpstreamSilent: it is not known.
            StoreUnavailable, TooManyRequests
        """
        if not await self._asked([Asked.sid(sid)]):
            raise UpstreamSilent("The upstream does not answer")

    async def _asked(self, wanted: Sequence[Asked]) -> bool:
        """Answers whether all is known."""
        end, known = time.monotonic() + PATIENCE, True
        while wanted:
            flights = self._under_way(wanted)
            others = [one for one in wanted if one.name not in flights]
            awaited: set[Asked] = set()
            if others:
                standings = await self._claimed(others)
                awaited = {one for one, standing in standings if standing is Standing.AWAITED}
                known = known and all(standing is not Standing.OWED for _, standing in standings)
                flights |= self._under_way(others)
            now = time.monotonic()
            late = {name for name, flight in flights.items() if flight.end <= now}
            known = known and not late
            # A flight that is over may have come to nothing: the next look at how it stands says so.
            flights = {name: flight for name, flight in flights.items() if name not in late}
            wanted = [one for one in wanted if one.name in flights or one in awaited]
            if not wanted:
                break
            if now >= end:
                return False
            left = min([end, *(flight.end for flight in flights.values())]) - now
            if awaited:
                left = min(left, _LOOK_SECONDS)
            if flights:
                await asyncio.wait({flight.task for flight in flights.values()}, timeout=left)
            else:
                await asyncio.sleep(left)
        return known

    def _under_way(self, asked: Sequence[Asked]) -> dict[bytes, _Flight]:
        return {one.name: self._flights[one.name] for one in asked if one.name in self._flights}

    async def _claimed(self, asked: Sequence[Asked]) -> list[tuple[Asked, Standing]]:
        """Asks for what nobody asks for; answers how it stands with each."""
        try:
            began, standings = await self._listings.claim(asked)
        except StoreFull:
            # It can still be read.
            return [(one, Standing.OWED) for one in asked]
        found = list(zip(asked, standings, strict=True))
        fresh = standings.count(Standing.FRESH)
        _hits.inc(fresh)
        _misses.inc(len(standings) - fresh)
        mine = [one for one, standing in found if standing is Standing.CLAIMED]
        if not mine:
            return found
        if not await self._is_well():
            await self._owe(mine)
            return [(one, Standing.OWED if s is Standing.CLAIMED else s) for one, s in found]
        of_sids = [one for one in mine if not one.identity]
        of_identities = [one for one in mine if one.identity]
        for one in of_sids:
            self._begin([one], self._fetch(one, began))
        for first in range(0, len(of_identities), IDENTITIES):
            group = of_identities[first : first + IDENTITIES]
            self._begin(group, self._list(group, began))
        return found

    def _begin(self, asked: Sequence[Asked], asking: Coroutine[Any, Any, None]) -> None:
        flight = _Flight(asyncio.create_task(self._fly(asked, asking)), time.monotonic() + PATIENCE)
        self._flights |= dict.fromkeys((one.name for one in asked), flight)

    async def _fly(self, asked: Sequence[Asked], asking: Coroutine[Any, Any, None]) -> None:
        try:
            async with asyncio.timeout(CLAIM_MS / 1000):
                await asking
        except (UpstreamError, BinderyError, TimeoutError) as error:
            _log.info("cold_read_failed", error=type(error).__name__, count=len(asked))
            await self._owe(asked)
        except Exception as error:  # noqa: BLE001  # an edge: nobody else looks at a task of its own
            _log.error("cold_read_broke", exc_info=error)
            await self._owe(asked)
        finally:
            for one in asked:
                self._flights.pop(one.name, None)

    async def _owe(self, asked: Sequence[Asked]) -> None:
        try:
            await self._listings.owe(asked, failed=True)
        except BinderyError as error:
            # The claim runs out by itself.
            _log.info("cold_read_not_owed", error=type(error).__name__)

    async def _list(self, asked: Sequence[Asked], began: int) -> None:
        found = zip(asked, await self._adopt_identities([one.identity for one in asked], began), strict=True)
        told = {one: empty for one, empty in found if empty is not None}
        await self._listings.done(began, list(told), list(told.values()))
        if left := [one for one in asked if one not in told]:
            await self._owe(left)

    async def _fetch(self, asked: Asked, began: int) -> None:
        nothing = not await self._adopt_sid(BindingSid.of(asked.name[1:]), began)
        await self._listings.done(began, [asked], [nothing])

    async def aclose(self) -> None:
        """Ask no more; claims run out by themselves."""
        flights = {flight.task for flight in self._flights.values()}
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
