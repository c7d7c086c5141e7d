"""A peer: arq as it comes, one job per registration. ``python -m tests.benchmarks.peers.plain_worker redis-url queue``.

Tuned for throughput where arq lets itself be tuned: it polls all the time, reads far into the queue, runs many jobs at
once, keeps no results and packs jobs with msgpack. Each job looks at what is applied, and writes its registration.
"""

from __future__ import annotations

import sys
from typing import Any

import msgspec
from arq.connections import RedisSettings
from arq.worker import Worker, func

QUEUE = "plain:jobs"
PEER_QUEUE = "peer:jobs"
"""The jobs of `tests.benchmarks.peers.enqueue`."""
APPLIED = "plain:applied"


def encode(job: dict[str, Any]) -> bytes:
    """A job on the wire."""
    return msgspec.msgpack.encode(job)


def decode(raw: bytes) -> dict[str, Any]:
    """A job from the wire."""
    job: dict[str, Any] = msgspec.msgpack.decode(raw)
    return job


def redis_settings(url: str) -> RedisSettings:
    """arq's settings for a URL."""
    if url.startswith("unix://"):
        return RedisSettings(unix_socket_path=url.removeprefix("unix://"))
    return RedisSettings.from_dsn(url)


async def register(ctx: dict[str, Any], identity: str, kind: str, address: str, device_id: str | None) -> None:
    """The job: one registration, applied, if it is not already: jobs may be repeated."""
    applied = msgspec.msgpack.encode((identity, kind, device_id))
    if await ctx["redis"].hget(APPLIED, address) != applied:
        await ctx["redis"].hset(APPLIED, address, applied)


def main(url: str, queue: str) -> None:
    """Work until a signal ends it."""
    Worker(
        [func(register, name="register")],
        redis_settings=redis_settings(url),
        queue_name=queue,
        job_serializer=encode,
        job_deserializer=decode,
        max_jobs=200,
        poll_delay=0.001,
        queue_read_limit=1000,
        keep_result=0,
        max_tries=1,
    ).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
