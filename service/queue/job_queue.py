"""Wakes lanes. Jobs are hints: one that is lost costs latency until the next sweep, and nothing else."""

from __future__ import annotations

import asyncio
import secrets
import time
from importlib.resources import files
from typing import Any

import msgspec
import structlog
from arq.constants import job_key_prefix
from arq.jobs import serialize_job

from service.domain.jobs import DrainLane, Lane
from service.redis import Redis, RedisError, Script
from service.telemetry.catalogue import JOBS_ENQUEUED

QUEUE = "bindery:jobs"
BELL = "bindery:bell"
_JOB_LIFETIME_MS = 600_000
# Scored a day in the past: a producer whose clock is ahead of the workers' delays nothing.
_HEAD_START_MS = 86_400_000

_log = structlog.get_logger(__name__)
_queued, _lost = JOBS_ENQUEUED.labels("queued"), JOBS_ENQUEUED.labels("lost")
_source = (files("service.queue") / "enqueue.lua").read_text().replace("arq:job:", job_key_prefix)
_enqueue = Script("enqueue", _source.encode())


def _encode(job: dict[str, Any]) -> bytes:
    return msgspec.msgpack.encode(job)


class JobQueue:
    """Enqueues jobs in the background; nobody who asks for one waits for it, or fails with it."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._under_way: set[asyncio.Task[None]] = set()

    def wake(self, lanes: list[Lane], traceparent: str | None = None) -> None:
        """Ask for a drain of each lane, soon."""
        for lane in lanes:
            task = asyncio.create_task(self._enqueue(DrainLane(lane, traceparent)))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _enqueue(self, job: DrainLane) -> None:
        now = time.time_ns() // 1_000_000
        payload = serialize_job("drain_lane", (msgspec.to_builtins(job),), {}, None, now, serializer=_encode)
        score = now - _HEAD_START_MS
        try:
            await self._redis.run(
                _enqueue,
                QUEUE.encode(),
                [BELL, secrets.token_hex(16), payload or b"", score, _JOB_LIFETIME_MS],
            )
            _queued.inc()
        except RedisError as error:
            _lost.inc()
            _log.warning(
                "wake_lost", lane=job.lane.number, ledger=job.lane.ledger.name.lower(), error=type(error).__name__
            )

    async def aclose(self) -> None:
        """Let what is under way finish; each is bounded by the Redis timeout."""
        if self._under_way:
            await asyncio.wait(self._under_way)
