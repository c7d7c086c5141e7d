"""arq's worker, except that an idle one waits at the bell instead of asleep, and that it stops when told to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix
from arq.utils import timestamp_ms
from arq.worker import Function, Worker
from msgspec import msgpack
from redis.exceptions import RedisError

from service.queue import BELL, QUEUE
from workers.connection import close_queue
from workers.pace import Pace

LISTEN_SECONDS = 0.5
"""How long an idle worker waits for the bell before it looks at the queue unasked."""

_MAX_JOBS = 32
_READ = 500
_HEALTH_SECONDS = 5
_FIRST_PAUSE, _LONGEST_PAUSE = 0.002, 0.05
_CLEAN_UP_SECONDS = 3.0

_log = structlog.get_logger(__name__)


class _StopAsked(Exception):
    """Ends arq's loop, which knows no other end."""


class BellWorker(Worker):
    """Runs ``functions`` off the queue until ``stop()``.

    ``ctx["stopping"]`` is an event that is set when jobs should come to an end. Jobs that are cancelled stay queued.
    ``on_turn`` is called each time that the loop comes round.
    """

    def __init__(
        self,
        queue: ArqRedis,
        functions: Sequence[Function],
        *,
        job_seconds: float,
        ctx: dict[str, Any],
        on_turn: Callable[[], None] = lambda: None,
        more_jobs: int = 0,
    ) -> None:
        self.stopping = asyncio.Event()
        super().__init__(
            functions,
            queue_name=QUEUE,
            redis_pool=queue,
            handle_signals=False,
            max_jobs=_MAX_JOBS + more_jobs,
            job_timeout=job_seconds,
            keep_result=0,
            poll_delay=0,
            queue_read_limit=_READ,
            health_check_interval=_HEALTH_SECONDS,
            job_serializer=msgpack.encode,
            job_deserializer=msgpack.decode,
            log_results=False,
            on_startup=self._on_startup,
            ctx={**ctx, "stopping": self.stopping, "pace": Pace(self._has_room)},
        )
        self.started = False
        self._on_turn = on_turn
        self._listening: asyncio.Task[Any] | None = None
        self._rung = False
        self._fruitless = 0

    def _has_room(self) -> bool:
        return bool(self.job_counter <= self.max_jobs // 2)

    async def serve(self) -> None:
        """Run until ``stop()``.

        Raises:
            RedisError, OSError: the queue went away, and its retries were used up.
        """
        with contextlib.suppress(_StopAsked):
            await self.main()

    def stop(self) -> None:
        """Take no more jobs, and ask those that run to end. ``serve()`` returns; they may still be at it."""
        self.stopping.set()
        if self._listening is not None:
            self._listening.cancel()

    async def finish(self, grace: float) -> None:
        """After ``serve()``: jobs have ``grace`` seconds to end by themselves, then they are cancelled."""
        self.stopping.set()
        if self.tasks:
            await asyncio.wait(self.tasks.values(), timeout=grace)
        for task in self.tasks.values():
            task.cancel()
        if self.tasks:
            ended, _ = await asyncio.wait(self.tasks.values(), timeout=_CLEAN_UP_SECONDS)
            for task in ended:
                # Looked at, or asyncio complains; that the queue is away is known to whoever starts another worker.
                _ = task.cancelled() or task.exception()
        with contextlib.suppress(RedisError, OSError):
            async with asyncio.timeout(_CLEAN_UP_SECONDS):
                await close_queue(self.pool)

    async def _on_startup(self, ctx: dict[Any, Any]) -> None:  # noqa: ARG002  # arq's signature
        self.started = True
        _log.info("worker_started")

    async def _poll_iteration(self) -> None:
        if self.stopping.is_set():
            raise _StopAsked
        self._on_turn()
        await self._wait()
        await super()._poll_iteration()

    async def start_jobs(self, job_ids: list[bytes]) -> None:
        """As arq does, but past the jobs that are under way already, here or elsewhere."""
        before = len(self.tasks)
        await super().start_jobs(await self._past_locked(self._not_ours(job_ids)))
        if len(self.tasks) > before:
            self._fruitless = 0
        elif self._rung:
            self._fruitless += 1

    def _not_ours(self, job_ids: list[bytes]) -> list[bytes]:
        return [job_id for job_id in job_ids if job_id.decode() not in self.tasks]

    async def _past_locked(self, job_ids: list[bytes]) -> list[bytes]:
        """The jobs of a crowded queue that can be started.

        Jobs that killed workers have left locked would stay at its head for half a minute, as many as there are, and
        arq would ask about each at every look. What is locked is taken off the queue: if it runs elsewhere, nobody is
        to start it; if not, the sweep finds what it owed.
        """
        while len(job_ids) > self.max_jobs:
            locks = await self.pool.mget([in_progress_key_prefix.encode() + job_id for job_id in job_ids])
            locked = [job_id for job_id, lock in zip(job_ids, locks, strict=True) if lock is not None]
            if not locked:
                break
            await self.pool.zrem(QUEUE, *locked)
            job_ids = [job_id for job_id, lock in zip(job_ids, locks, strict=True) if lock is None]
            if not job_ids:
                due: list[bytes] = await self.pool.zrangebyscore(QUEUE, "-inf", timestamp_ms(), start=0, num=_READ)
                job_ids = self._not_ours(due)
        return job_ids

    async def _wait(self) -> None:
        if self.job_counter >= self.max_jobs and self.tasks:
            # There may be more on the queue than the bell will tell of: it was read to the worker's capacity.
            self._rung = False
            await asyncio.wait(self.tasks.values(), timeout=LISTEN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            return
        if self._rung and self._fruitless:
            # Rung for nothing: what is left of the rings is stale too. Clear them, then look once more unasked,
            # for a job that was queued before they were cleared; one that comes after rings again.
            self._rung = False
            await asyncio.sleep(min(_FIRST_PAUSE * 2 ** min(self._fruitless - 1, 10), _LONGEST_PAUSE))
            await self.pool.delete(BELL)
            return
        pool: Any = self.pool  # redis-py's types know neither fractions of a second nor that this is a coroutine
        self._listening = asyncio.ensure_future(pool.blpop([BELL], timeout=LISTEN_SECONDS))
        try:
            self._rung = await self._listening is not None
        except asyncio.CancelledError:
            if self.stopping.is_set():
                raise _StopAsked from None
            raise
        finally:
            self._listening = None
