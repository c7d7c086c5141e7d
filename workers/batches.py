"""One batch of a lane: taken under lease, reconciled with its backend, settled."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from functools import cache

import msgspec
import prometheus_client

from service.domain.jobs import Lane, Ledger
from service.domain.record import Record, State
from service.store.ledger import ChatWork, Lease, Settlement, Verdict
from service.store.upstream_ledger import Observation
from service.telemetry.catalogue import APPLIED, SETTLED
from service.usecases.reconciling import reconcile_chat, reconcile_notify
from service.usecases.service import Service
from workers import lateness
from workers.attempt import attempt, handed_back
from workers.settling import hand_back, persist

REGISTRATIONS, IDENTITIES = 200, 100
"""The most that is taken at once from a Notify lane, and from a Chat lane. Settling 500 registrations was seen to keep
the store from everybody else for 14 ms; the throughput is the same with 200."""

# There are no calls to protect, and the lease is all that the work of a killed worker waits for.
LEASE_MS = 5_000


class Tally(msgspec.Struct):
    """What a job has done. Notify work counts registrations, Chat work bindings."""

    taken: int = 0
    settled: int = 0
    failed: int = 0

    def count(self, settlements: Sequence[Settlement | Observation]) -> None:
        """Note what was settled."""
        failed = sum(s.verdict in (Verdict.LATER, Verdict.DEAD) for s in settlements)
        self.failed += failed
        self.settled += len(settlements) - failed


def owed_of(work: ChatWork) -> list[Record]:
    """What of an identity's Chat bindings is not as it should be, as far as is known."""
    return [r for r in work.records if not r.channels or r.chat in (State.PENDING, State.UNKNOWN)]


async def notify_batch(service: Service, lane: Lane, tally: Tally) -> bool:
    """Work one batch of a Notify lane; answers False if nothing was due.

    Raises:
        StoreUnavailable, StoreFull, TooManyRequests: leases that were not settled run out.
    """
    # Before the take: a worker that is held up until it reads the answer is late by as much.
    asked = time.monotonic()
    lease = await service.ledgers.take(lane, REGISTRATIONS, LEASE_MS)
    if lease is None:
        return False
    if not lease.records:
        return True
    tally.taken += len(lease.records)

    async def reconcile(records: Sequence[Record]) -> list[Settlement]:
        return await reconcile_notify(service, Lease(lease.token, list(records)))

    async def settle(settlements: Sequence[Settlement]) -> None:
        await service.ledgers.settle(lane, lease.token, settlements)

    try:
        settlements = await attempt(reconcile, lease.records)
        await persist(lambda: settle(settlements))
    except asyncio.CancelledError:
        await hand_back(lambda: settle(handed_back(lease.records)))
        raise
    tally.count(settlements)
    taken = zip(lease.records, lease.owed, strict=True)
    lateness.observe(_delays(service.config.name, lane.ledger), taken, settlements, time.monotonic() - asked)
    _count(service.config.name, lane.ledger, settlements)
    return True


async def chat_batch(service: Service, lane: Lane, tally: Tally) -> bool:
    """Work one batch of a Chat lane, its identities side by side; answers and raises as ``notify_batch``."""
    asked = time.monotonic()
    taken = await service.ledgers.take_chat(lane, IDENTITIES, LEASE_MS)
    if taken is None:
        return False
    token, identities = taken
    results = await asyncio.gather(
        *(_chat_identity(service, lane, token, work, tally, asked) for work in identities), return_exceptions=True
    )
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return True


async def _chat_identity(
    service: Service, lane: Lane, token: bytes, work: ChatWork, tally: Tally, asked: float
) -> None:
    owed = owed_of(work)
    tally.taken += len(owed)

    async def reconcile(records: Sequence[Record]) -> list[Settlement]:
        return await reconcile_chat(service, ChatWork(work.owner, list(records)))

    async def settle(settlements: Sequence[Settlement]) -> None:
        await service.ledgers.settle_chat(lane, token, work.owner, settlements, external=False)

    try:
        settlements = await attempt(reconcile, owed)
        # Even if there was nothing to do: it is this that takes the identity out of the ledger.
        await persist(lambda: settle(settlements))
    except asyncio.CancelledError:
        await hand_back(lambda: settle(handed_back(owed)))
        raise
    tally.count(settlements)
    taken = ((record, work.owed) for record in owed)
    lateness.observe(_delays(service.config.name, lane.ledger), taken, settlements, time.monotonic() - asked)
    _count(service.config.name, lane.ledger, settlements)


@cache
def _delays(name: str, ledger: Ledger) -> prometheus_client.Histogram:
    return APPLIED.labels(name, ledger.name.lower())


def _count(name: str, ledger: Ledger, settlements: Sequence[Settlement]) -> None:
    for verdict, count in Counter(s.verdict for s in settlements).items():
        SETTLED.labels(name, ledger.name.lower(), verdict.name.lower()).inc(count)


BATCHES = {Ledger.NOTIFY: (notify_batch, REGISTRATIONS), Ledger.CHAT: (chat_batch, IDENTITIES)}
"""How a batch of each ledger is worked, and the most entries that it takes."""
