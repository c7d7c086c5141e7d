"""A worker process: opens the store, then runs arq workers, one after the other, until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import random
import time
from contextlib import suppress

import structlog
from arq.worker import func
from redis.exceptions import RedisError

from service.bootstrap import Runtime, runtime
from service.domain.errors import BinderyError, StoreRefused
from service.domain.services import Upstream
from service.settings import Settings
from service.settings.loading import METRICS_FD
from service.standing import open_store
from service.telemetry import catalogue
from service.telemetry.listener import listening
from service.telemetry.traces import tracing
from service.usecases.service import Directory
from service.usecases.upstream.channels import LANES_AT_ONCE, lease_ms
from workers.audit import keep_auditing
from workers.bell import LISTEN_SECONDS, BellWorker
from workers.connection import open_queue
from workers.drain import BUDGET_SECONDS, JOB_SECONDS, drain_lane
from workers.expiry import keep_expiring
from workers.health import Health
from workers.listing import keep_listing
from workers.settling import HAND_BACK_SECONDS
from workers.showing import introduce, keep_looking
from workers.sweep import keep_sweeping
from workers.without_queue import WithoutQueue

_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.05, 0.5
_SETTLED_SECONDS = 1.0
_END_OF_LOOP = 1.0

_log = structlog.get_logger(__name__)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Work until ``stop``; no outage of the store or the queue ends it.

    Raises:
        StoreRefused: the store was written by a newer version, or under another key.
        OSError: the listener for metrics and probes cannot be had.
    """
    async with runtime(settings) as running, tracing(settings.traces, "worker"):
        introduce(running.directory)
        health, inherited = Health(running, stop), os.environ.get(METRICS_FD)
        async with listening(settings.metrics_host, settings.metrics_port, health.probes, inherited=inherited):
            await _work(running, stop, health)
        _log.info("worker_stopped")


async def _work(running: Runtime, stop: asyncio.Event, health: Health) -> None:
    await _open(running, stop, health)
    looking = asyncio.ensure_future(keep_looking(running.directory))
    beside = asyncio.ensure_future(_go_on_beside(running, stop))
    alone = WithoutQueue(running.directory, stop)
    try:
        await _serve_all(running, alone, stop, health)
    finally:
        looking.cancel()
        beside.cancel()
        await asyncio.wait({beside})
        await alone.aclose()


async def _go_on_beside(running: Runtime, stop: asyncio.Event) -> None:
    """What needs no queue, and goes on without one, until ``stop``."""
    directory, stale_seconds = running.directory, 86_400 * running.settings.stale_days
    steps = [keep_auditing(directory), keep_listing(directory), keep_expiring(directory, stale_seconds)]
    tasks = [asyncio.ensure_future(step) for step in steps]
    try:
        await stop.wait()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _serve_all(running: Runtime, alone: WithoutQueue, stop: asyncio.Event, health: Health) -> None:
    grace, backoff = running.settings.shutdown_grace, _FIRST_BACKOFF
    away = False
    while not stop.is_set():
        worker = _worker(running, health)
        began = time.monotonic()
        try:
            await _serve(worker, running.directory, stop, grace=grace)
        except (RedisError, OSError) as error:
            # A full Redis lets a worker start, and fails it at its first write.
            if worker.started and time.monotonic() - began > _SETTLED_SECONDS:
                away, backoff = False, _FIRST_BACKOFF
            if not away:
                _log.warning("queue_lost", error=type(error).__name__)
                catalogue.QUEUE_LOSSES.inc()
            away = True
            await alone.sweep(grace - HAND_BACK_SECONDS)
            await _pause(stop, backoff)
            backoff = min(2 * backoff, _LONGEST_BACKOFF)
            health.turn()


async def _open(running: Runtime, stop: asyncio.Event, health: Health) -> None:
    backoff, told = _FIRST_BACKOFF, False
    while not stop.is_set():
        health.turn()
        try:
            await open_store(running)
        except StoreRefused:
            raise
        except BinderyError as error:
            if not told:
                _log.warning("waiting_for_the_store", error=error.slug)
            told = True
            await _pause(stop, backoff)
            backoff = min(2 * backoff, _LONGEST_BACKOFF)
        else:
            return


async def _serve(worker: BellWorker, directory: Directory, stop: asyncio.Event, *, grace: float) -> None:
    serving, stopped = asyncio.ensure_future(worker.serve()), asyncio.ensure_future(stop.wait())
    sweeping = asyncio.ensure_future(keep_sweeping(directory))
    try:
        await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
        worker.stop()
        # It is in the middle of a look at the queue at most; only a queue that does not answer keeps it longer.
        await asyncio.wait({serving}, timeout=min(_END_OF_LOOP, grace / 4))
    finally:
        stopped.cancel()
        sweeping.cancel()
        serving.cancel()
        await asyncio.wait({serving, sweeping})
        # Within the grace: cancelled jobs hand their leases back, and that takes time too. If only the queue was lost,
        # calls that an upstream does not answer would keep all other work from being done without it.
        seconds = grace - HAND_BACK_SECONDS - 2 * _END_OF_LOOP if stop.is_set() else _END_OF_LOOP
        await worker.finish(max(0.0, seconds))
    if not serving.cancelled():
        serving.result()


def _worker(running: Runtime, health: Health) -> BellWorker:
    settings = running.settings
    health.started = True
    return BellWorker(
        open_queue(settings.queue_url, timeout=settings.redis_timeout + LISTEN_SECONDS),
        [func(drain_lane, name="drain_lane")],
        job_seconds=_job_seconds(settings),
        ctx={"directory": running.directory},
        on_turn=health.turn,
        # What a slow upstream holds up are jobs of its own.
        more_jobs=LANES_AT_ONCE * len(_upstreams(settings)),
    )


def _job_seconds(settings: Settings) -> float:
    """What a job may take: its budget, and a batch that was begun at its end."""
    leases = [lease_ms(upstream) / 1000 for upstream in _upstreams(settings)]
    return max([JOB_SECONDS, *(BUDGET_SECONDS + lease for lease in leases)])


def _upstreams(settings: Settings) -> list[Upstream]:
    found = (upstream for s in settings.services for upstream in (s.notify_upstream, s.chat_upstream))
    return [upstream for upstream in found if upstream is not None]


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds * random.uniform(0.5, 1.0))  # noqa: S311  # jitter
