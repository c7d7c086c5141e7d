"""Working a Chat lane whose bindings are kept at an upstream: identities are listed together, then each by itself.

A delete of unknown outcome needs no remembering: the identity stays owed, and is listed anew.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import TypeAlias

from service.backends.twilio import Attempt, NotItsTurn, Refused, UpstreamError
from service.domain.jobs import Lane
from service.domain.judging import Judgement
from service.domain.record import Record
from service.store.ledger import ChatWork, Settlement, Verdict
from service.usecases.reconciling import backoff_ms
from service.usecases.service import Service
from service.usecases.upstream.channels import ChatUpstream
from service.usecases.upstream.chat_reconciling import delete_unwanted, judged
from workers.attempt import handed_back
from workers.batches import Tally, owed_of
from workers.settling import hand_back, persist
from workers.upstream_figures import tell

Judged: TypeAlias = list[Judgement] | UpstreamError

_LONGEST_DELAY_MS = 60_000
_LEAST_DELAY_MS = 250


async def chat_batch(service: Service, upstream: ChatUpstream, lane: Lane, most: int, tally: Tally) -> bool:
    """Work one batch; answers False if nothing was due.

    Raises:
        StoreUnavailable, StoreFull, TooManyRequests: leases that were not settled run out.
    """
    began = time.monotonic()
    deadline = began + upstream.lease_ms / 1000
    taken = await service.ledgers.take_chat(lane, most, upstream.lease_ms)
    if taken is None:
        return False
    token, identities = taken
    left = {work.owner: work for work in identities}

    async def settle(work: ChatWork, settlements: Sequence[Settlement]) -> bool:
        return await service.ledgers.settle_chat(lane, token, work.owner, settlements, external=True)

    async def each(work: ChatWork, verdict: Judged | None) -> None:
        records = owed_of(work)
        tally.taken += len(records)
        settlements = await _work(upstream, work, verdict, deadline)
        await persist(lambda: settle(work, settlements))
        del left[work.owner]
        worked = [(record, work.owed, s.verdict) for record, s in zip(records, settlements, strict=True)]
        tell(service, lane, worked, time.monotonic() - began)
        tally.count(settlements)

    try:
        verdicts = await _judge(service, upstream, identities, deadline)
        async with asyncio.TaskGroup() as group:
            for work in identities:
                group.create_task(each(work, verdicts.get(work.owner)))
    except ExceptionGroup as group_error:
        raise group_error.exceptions[0] from None
    finally:
        # Together: a job that is stopped has the time for one wait, not for one each.
        await asyncio.gather(*(hand_back(partial(settle, work, handed_back(owed_of(work)))) for work in left.values()))
    return True


async def _judge(
    service: Service, upstream: ChatUpstream, identities: Sequence[ChatWork], deadline: float
) -> dict[bytes, Judged]:
    named = [work for work in identities if owed_of(work)]
    if not named:
        return {}
    identities_named = [work.records[0].attributes.identity for work in named]
    try:
        found = await judged(service, upstream, identities_named, Attempt(deadline))
    except UpstreamError as error:
        return {work.owner: error for work in named}
    return {work.owner: judgements for work, judgements in zip(named, found, strict=True)}


async def _work(upstream: ChatUpstream, work: ChatWork, verdict: Judged | None, deadline: float) -> list[Settlement]:
    records = owed_of(work)
    if isinstance(verdict, UpstreamError):
        # A list that is refused for another reason says nothing of the identity.
        final = isinstance(verdict, Refused) and verdict.bad_request
        return [_failed(record, verdict, final=final) for record in records]
    try:
        await delete_unwanted(upstream, verdict or [], Attempt(deadline))
    except UpstreamError as error:
        return [_failed(record, error, final=isinstance(error, Refused)) for record in records]
    return [Settlement(r.fingerprint, r.version, Verdict.HELD if r.channels else Verdict.GONE) for r in records]


def _failed(record: Record, error: UpstreamError, *, final: bool) -> Settlement:
    if final:
        return Settlement(record.fingerprint, record.version, Verdict.DEAD, reason=error.reason)
    tried = not isinstance(error, NotItsTurn)
    delay = min(backoff_ms(record.attempts), _LONGEST_DELAY_MS) if tried else _LEAST_DELAY_MS
    delay = max(delay, int(1000 * (error.retry_after or 0.0)))
    verdict = Verdict.LATER if tried else Verdict.BACK
    return Settlement(record.fingerprint, record.version, verdict, delay_ms=delay, reason=error.reason)
