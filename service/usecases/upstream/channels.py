"""What a Service has of an upstream: the client of its bindings there, what is owed to it, and seats for callers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from service.backends.twilio import Account, ChatBindings, NotifyBindings
from service.backends.twilio.admission import patience
from service.domain.errors import StoreUnavailable
from service.domain.jobs import Lane
from service.domain.services import Upstream
from service.redis import RedisError
from service.store.audits import Audits
from service.store.upstream_ledger import UpstreamLedger
from service.store.walks import Turns

AT_ONCE: Final = 32
"""The most records of a lane that are taken together: what a lease has time for."""

LANES_AT_ONCE: Final = 4
"""The lanes that one process drains at a time for each upstream of a Service."""

_MARGIN_SECONDS = 5.0

_WAITERS = 100
"""Requests of a process that wait for one upstream at the same time."""


class LaneSeats:
    """How many lanes of a Service one process drains at a time: a slow upstream must not hold every job there is."""

    def __init__(self, seats: int = LANES_AT_ONCE) -> None:
        self._free = seats
        self._turned_away: dict[Lane, None] = {}

    @contextmanager
    def taken(self, lane: Lane) -> Iterator[bool]:
        """A seat, or False: then the lane is noted for whoever leaves."""
        if self._free <= 0:
            self._turned_away[lane] = None
            yield False
            return
        self._free -= 1
        try:
            yield True
        finally:
            self._free += 1

    def next_one(self) -> Lane | None:
        """A lane that was turned away, to be woken now that there is a seat."""
        lane = next(iter(self._turned_away), None)
        if lane is not None:
            del self._turned_away[lane]
        return lane


class _AtUpstream:
    """What is common to the bindings of both kinds."""

    def __init__(self, config: Upstream, account: Account) -> None:
        self.config = config
        self.account = account
        self.seats = LaneSeats()
        self.waiting_room = asyncio.Semaphore(_WAITERS)

    @property
    def lease_ms(self) -> int:
        """What a batch may take: two rounds of calls with the wait for admission, and some time to settle."""
        return lease_ms(self.config)

    async def room(self) -> tuple[int, float]:
        """How many records may be taken now: none while the upstream is left alone, one to try whether it is back.

        And the seconds until asking again is worth while.

        Raises:
            StoreUnavailable: nobody can tell.
        """
        try:
            health = await self.account.admission.health()
        except RedisError:
            raise StoreUnavailable from None
        pause = max(health.held_seconds, health.pause_seconds)
        if pause > 0:
            return 0, pause
        return AT_ONCE if health.state == "closed" else 1, 0.0

    async def is_well(self) -> bool:
        """Whether it may be asked for what somebody waits for. Raises as ``room``."""
        room, _ = await self.room()
        return room == AT_ONCE


class NotifyUpstream(_AtUpstream):
    """A Service's Notify bindings at its upstream."""

    def __init__(
        self,
        config: Upstream,
        bindings: NotifyBindings,
        ledger: UpstreamLedger,
        audits: Audits,
        walk: Turns,
    ) -> None:
        super().__init__(config, bindings.account)
        self.bindings = bindings
        self.ledger = ledger
        self.audits = audits
        self.walk = walk


class ChatUpstream(_AtUpstream):
    """A Service's Chat bindings at its upstream, which apps' SDKs have created there."""

    def __init__(self, config: Upstream, bindings: ChatBindings, walk: Turns) -> None:
        super().__init__(config, bindings.account)
        self.bindings = bindings
        self.walk = walk


def lease_ms(config: Upstream) -> int:
    """Milliseconds for which work on an upstream is leased."""
    return int(1000 * (2 * config.timeout + 2 * patience(config.rate) + _MARGIN_SECONDS))
