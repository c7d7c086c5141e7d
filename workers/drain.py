"""The job: drain one lane until nothing in it is due, or the job's time is up."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
import structlog

from service.domain.errors import BinderyError
from service.domain.jobs import DrainLane
from service.telemetry import traces
from service.telemetry.catalogue import JOBS
from service.usecases.service import Directory, Service
from workers.attempt import CALL_SECONDS
from workers.batches import BATCHES, Tally
from workers.pace import Pace
from workers.upstream_lane import at_upstream, drain_upstream

BUDGET_SECONDS = 5.0
"""After this a job wakes its lane again and ends, so that no lane can keep a worker to itself."""

JOB_SECONDS = BUDGET_SECONDS + 2 * CALL_SECONDS + 5
"""What a job may take at most: its budget, and one batch that was begun at its end."""

_log = structlog.get_logger(__name__)


async def drain_lane(ctx: dict[str, Any], raw: Any) -> None:
    """arq's function of that name. Nothing is lost when it fails: what it did not settle is still owed."""
    try:
        job = msgspec.convert(raw, DrainLane)
    except msgspec.ValidationError:
        _log.warning("job_not_understood")
        return
    lane, stopping = job.lane, ctx["stopping"]
    named = {"service": lane.service, "ledger": lane.ledger.name.lower(), "lane": lane.number}
    with structlog.contextvars.bound_contextvars(**named, **_trace(job.traceparent)):
        directory: Directory = ctx["directory"]
        service = directory.by_sid(lane.service)
        if service is None:
            _log.warning("job_of_unknown_service")
            return
        await _run(service, job, stopping, ctx["pace"])


async def _run(service: Service, job: DrainLane, stopping: asyncio.Event, pace: Pace) -> None:
    ledger = job.lane.ledger.name.lower()
    told: traces.Attributes = {
        "bindery.service": service.config.name,
        "bindery.ledger": ledger,
        "bindery.lane": job.lane.number,
    }
    with traces.job(f"drain {ledger}", job.traceparent, told) as span:
        outcome, tally = await _finish(service, job, stopping, pace)
        span.note({"bindery.outcome": outcome, "bindery.settled": tally.settled, "bindery.failed": tally.failed})


async def _finish(service: Service, job: DrainLane, stopping: asyncio.Event, pace: Pace) -> tuple[str, Tally]:
    started, tally, outcome = time.perf_counter(), Tally(), "cancelled"
    log, fault = _log.info, None
    try:
        outcome = await _drain(service, job, stopping, pace, tally)
    except BinderyError as error:
        outcome, log = error.slug, _log.warning
    except Exception as error:  # noqa: BLE001  # the job's edge: arq would log its text, which may quote anything
        outcome, log, fault = "broke", _log.error, error
    finally:
        seconds = time.perf_counter() - started
        JOBS.labels(job.lane.ledger.name.lower(), outcome).observe(seconds)
        log("job", **msgspec.structs.asdict(tally), outcome=outcome, ms=round(seconds * 1000, 2), exc_info=fault)
    return outcome, tally


async def _drain(service: Service, job: DrainLane, stopping: asyncio.Event, pace: Pace, tally: Tally) -> str:
    batch, most = BATCHES[job.lane.ledger]
    end = time.monotonic() + BUDGET_SECONDS
    if at_upstream(service, job.lane) is not None:
        outcome = await drain_upstream(service, job.lane, end, stopping, tally)
        if outcome is not None:
            return outcome
    while time.monotonic() < end and not stopping.is_set():
        before = tally.taken
        if not await batch(service, job.lane, tally):
            return "drained"
        if wait := pace.wait_for(job.lane, tally.taken - before, most):
            # The lane's flag is held meanwhile: what comes asks for no job.
            await asyncio.sleep(wait)
    if await service.ledgers.go_on(job.lane):
        service.wake_lane(job.lane, job.traceparent)
        return "goes-on"
    return "drained"


def _trace(traceparent: str | None) -> dict[str, str]:
    """The request's id in W3C Trace Context, if the job has one."""
    return {"trace_id": traceparent[3:35], "traceparent": traceparent} if traceparent else {}
