"""Draining a lane whose bindings are kept at an upstream: small batches, each record by itself, settled as it comes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress

from service.domain.jobs import Lane, Ledger
from service.store.ledger import Verdict
from service.store.upstream_ledger import Observation, Taken, UpstreamLease
from service.usecases.service import Service
from service.usecases.upstream.applying import NOTHING, Application, Listing, listing
from service.usecases.upstream.channels import ChatUpstream, NotifyUpstream
from workers.batches import Tally
from workers.settling import hand_back, persist
from workers.upstream_chat import chat_batch
from workers.upstream_figures import tell

GROUP_SECONDS = 0.02
"""What a settlement waits for others, so that they take one transaction."""

_SETTLED_AT_ONCE = 20

_SHORT_PAUSE = 2.0
"""Seconds for which a job waits: no longer than it takes until a sweep would find its lane."""


async def drain_upstream(service: Service, lane: Lane, end: float, stopping: asyncio.Event, tally: Tally) -> str | None:
    """Drain until nothing is due; answers why it ended, or None at ``end`` (on the monotonic clock).

    Where it ends before the lane is empty the sweep finds what is left.
    """
    upstream = at_upstream(service, lane)
    assert upstream is not None  # noqa: S101  # the caller has looked
    with upstream.seats.taken(lane) as seated:
        if not seated:
            return "no-seat"
        outcome = await _drain(service, upstream, lane, end, stopping, tally)
    waiting = upstream.seats.next_one()
    if waiting is not None:
        service.wake_lane(waiting)
    return outcome


def at_upstream(service: Service, lane: Lane) -> NotifyUpstream | ChatUpstream | None:
    """The upstream that a lane's work is for; None if it is our own store."""
    return service.notify_upstream if lane.ledger is Ledger.NOTIFY else service.chat_upstream


async def _drain(
    service: Service,
    upstream: NotifyUpstream | ChatUpstream,
    lane: Lane,
    end: float,
    stopping: asyncio.Event,
    tally: Tally,
) -> str | None:
    while time.monotonic() < end and not stopping.is_set():
        room, pause = await upstream.room()
        if not room:
            if pause > _SHORT_PAUSE:
                return "left-alone"
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), pause)
            continue
        if isinstance(upstream, ChatUpstream):
            more = await chat_batch(service, upstream, lane, room, tally)
        else:
            more = await batch(service, upstream, lane, room, tally)
        if not more:
            return "drained"
    return None


async def batch(service: Service, upstream: NotifyUpstream, lane: Lane, most: int, tally: Tally) -> bool:
    """Work one batch; answers False if nothing was due.

    Raises:
        StoreUnavailable, StoreFull, TooManyRequests: leases that were not settled run out.
    """
    # From before it was asked for: a lease must not seem longer than it is.
    began = time.monotonic()
    deadline = began + upstream.lease_ms / 1000
    lease = await upstream.ledger.take(lane, most, upstream.lease_ms)
    if lease is None:
        return False
    tally.taken += len(lease.taken)
    if lease.taken:
        await _Batch(service, upstream, lane, lease, began, deadline, tally).run()
    return True


class _Batch:
    def __init__(
        self,
        service: Service,
        upstream: NotifyUpstream,
        lane: Lane,
        lease: UpstreamLease,
        began: float,
        deadline: float,
        tally: Tally,
    ) -> None:
        self._service, self._began = service, began
        self._ledger, self._lane, self._lease, self._tally = upstream.ledger, lane, lease, tally
        doubtful = [t.record for t in lease.taken if t.record.doubt]
        self._list = asyncio.ensure_future(listing(service, upstream, doubtful, deadline)) if doubtful else None
        self._work = {
            asyncio.ensure_future(Application(service, upstream, taken, deadline).run(self._listed)): taken
            for taken in lease.taken
        }

    async def _listed(self) -> Listing:
        # One list for all that are in doubt; whoever gives up takes it from nobody.
        return await asyncio.shield(self._list) if self._list else NOTHING

    async def run(self) -> None:
        try:
            while self._work:
                done, _ = await asyncio.wait(self._work, return_when=asyncio.FIRST_COMPLETED)
                if len(done) < len(self._work):
                    done, _ = await asyncio.wait(self._work, timeout=GROUP_SECONDS)
                for group in _groups(sorted(done, key=id)):
                    await self._settle(group)
        finally:
            if self._list is not None:
                self._list.cancel()
            if self._work:
                await self._break_off()
            elif self._list is not None:
                await asyncio.gather(self._list, return_exceptions=True)

    async def _settle(self, group: Sequence[asyncio.Task[Observation]]) -> None:
        observations = [task.result() for task in group]
        await persist(lambda: self._ledger.settle(self._lane, self._lease, observations))
        worked = [(o.record, self._work.pop(task).owed, o.verdict) for task, o in zip(group, observations, strict=True)]
        tell(self._service, self._lane, worked, time.monotonic() - self._began)
        self._tally.count(observations)

    async def _break_off(self) -> None:
        """What was sent and is not settled is told of; what was not is handed back."""
        for task in self._work:
            task.cancel()
        others = [self._list] if self._list is not None else []
        await asyncio.gather(*self._work, *others, return_exceptions=True)
        left = [_result(task, taken) for task, taken in self._work.items()]
        await hand_back(lambda: self._ledger.settle(self._lane, self._lease, left))


def _result(task: asyncio.Task[Observation], taken: Taken) -> Observation:
    return Observation(taken.record, Verdict.BACK) if task.cancelled() else task.result()


def _groups(tasks: Sequence[asyncio.Task[Observation]]) -> list[Sequence[asyncio.Task[Observation]]]:
    return [tasks[n : n + _SETTLED_AT_ONCE] for n in range(0, len(tasks), _SETTLED_AT_ONCE)]
