"""Whether a process can do its work: what probes ask, and what they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection

import msgspec

from service.bootstrap import Runtime
from service.domain.errors import BinderyError
from service.redis import RedisError, Refused

_SECONDS = 1.5
"""For all checks together, however long a call to the store may take."""

_SECONDS_UNNEEDED = 0.5
"""For one that the answer does not depend on: who asks may wait for no more than a second."""

API_NEEDS = ("store",)
"""Requests are answered without the queue: its loss must not take every API from its load balancer at once."""

WORKER_NEEDS = ("store", "queue")
"""Nobody's requests wait for a worker; a roll-out with a wrong queue stops at it."""


class Liveness(msgspec.Struct, frozen=True):
    """Whether the process turns."""

    status: str = "ok"


class Readiness(msgspec.Struct, frozen=True):
    """Whether work can be taken; ``checks`` says of each dependency ``ok`` or what is the matter."""

    ready: bool
    checks: dict[str, str]


async def readiness(runtime: Runtime, own: str, needs: Collection[str]) -> Readiness:
    """Whether store and job queue answer, as far as the process ``needs`` them; ``own`` is what it says of itself."""
    seconds = _SECONDS if "queue" in needs else _SECONDS_UNNEEDED
    asked = {"store": _store(runtime), "queue": _said(runtime.queue_store.ping(), seconds)}
    checks = dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))
    if own != "ok":
        checks["process"] = own
    return Readiness(all(checks[name] == "ok" for name in checks if name in (*needs, "process")), checks)


async def _store(runtime: Runtime) -> str:
    # Every Service's part of it, and whatever else of it answers for none of them.
    said = await asyncio.gather(_said(runtime.open_store(), _SECONDS), _said(runtime.store.ping(), _SECONDS))
    return next((state for state in said if state != "ok"), "ok")


async def _said(check: Awaitable[None], seconds: float) -> str:
    try:
        async with asyncio.timeout(seconds):
            await check
    except BinderyError as error:
        return error.detail
    except Refused:
        return "refuses our login, database or certificate"
    except (RedisError, TimeoutError):
        return "unreachable"
    return "ok"
