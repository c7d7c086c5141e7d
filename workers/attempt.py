"""One attempt at what a backend is asked to do: whatever it does, every record gets its verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import structlog

from service.domain.record import Record
from service.store.ledger import Settlement, Verdict
from service.telemetry import traces
from service.usecases.reconciling import backoff_ms

Reconcile: TypeAlias = Callable[[Sequence[Record]], Awaitable[list[Settlement]]]

CALL_SECONDS = 5.0
"""What one call may take, and what isolating the records of a failed one may take on top."""

TRIES = 10
"""After as many tries a record that a backend breaks at is a dead letter."""

_AT_ONCE = 16

_log = structlog.get_logger(__name__)


async def attempt(reconcile: Reconcile, records: Sequence[Record]) -> list[Settlement]:
    """The verdicts of a backend on ``records``.

    If it breaks or hangs, they are tried one by one: none may hold up others.
    """
    try:
        return await _call(reconcile, records)
    except TimeoutError:
        # One record may be what it hangs at; the lease has time for a second round.
        if len(records) == 1:
            return [_late(records[0])]
    except Exception as error:  # noqa: BLE001  # the job's edge: a backend's fault must not block its lane
        _log.error("backend_broke", error=type(error).__name__, records=len(records), exc_info=error)
        if len(records) == 1:
            return [_broken(records[0], error)]
    return await _one_by_one(reconcile, records)


async def _one_by_one(reconcile: Reconcile, records: Sequence[Record]) -> list[Settlement]:
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def alone(record: Record) -> list[Settlement]:
        async with at_once:
            try:
                return await _call(reconcile, [record])
            except TimeoutError:
                return [_late(record)]
            except Exception as error:  # noqa: BLE001  # as above
                return [_broken(record, error)]

    tasks = [asyncio.ensure_future(alone(record)) for record in records]
    try:
        await asyncio.wait(tasks, timeout=CALL_SECONDS)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    settlements: list[Settlement] = []
    for record, task in zip(records, tasks, strict=True):
        settlements += [_late(record)] if task.cancelled() else task.result()
    return settlements


async def _call(reconcile: Reconcile, records: Sequence[Record]) -> list[Settlement]:
    with traces.call("reconcile", {"bindery.records": len(records)}):
        async with asyncio.timeout(CALL_SECONDS):
            return await reconcile(records)


def _late(record: Record) -> Settlement:
    # No answer is an upstream's way of being down, which may last for days: never a dead letter.
    return _verdict(record, Verdict.LATER, "no answer in time")


def _broken(record: Record, error: Exception) -> Settlement:
    verdict = Verdict.DEAD if record.attempts + 1 >= TRIES else Verdict.LATER
    # The class only: its text may quote an address.
    return _verdict(record, verdict, type(error).__name__)


def _verdict(record: Record, verdict: Verdict, reason: str) -> Settlement:
    delay = backoff_ms(record.attempts) if verdict is Verdict.LATER else 0
    return Settlement(record.fingerprint, record.version, verdict, delay_ms=delay, reason=reason)


def handed_back(records: Sequence[Record]) -> list[Settlement]:
    """For records whose work was broken off: due at once, for whoever comes next."""
    return [Settlement(r.fingerprint, r.version, Verdict.BACK) for r in records]
