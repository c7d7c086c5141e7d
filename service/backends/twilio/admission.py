"""Manners towards an upstream: who may call it and when, decided for all processes in one place.

A token bucket per account that gives out slots in order (GCRA), the holds that an upstream asks for with
``Retry-After``, and a circuit breaker. They share one small hash in the store: a call asks for all of them at once, and
four workers should not have four opinions of whether an upstream is well.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from contextlib import suppress
from importlib.resources import files
from typing import Any, Literal

import msgspec
import structlog

from service.backends.twilio.errors import LONGEST_RETRY_AFTER, NotItsTurn
from service.domain.services import Upstream
from service.redis import Redis, RedisError, Script
from service.telemetry.upstreams import observe_wait

_PATIENCE, _PATIENT_SLOTS = 2.0, 1.5
_BURST_SECONDS = 0.1
_HOLD_SECONDS = 1.0
_AWAY_SECONDS = 1.0

BreakerState = Literal["closed", "open", "probing"]

_script = Script("admission", (files("service.backends.twilio") / "admission.lua").read_bytes())
_log = structlog.get_logger(__name__)


def patience(rate: float) -> float:
    """Seconds that a caller waits for its slot at most; where all slots till then are taken, it comes again.

    At a low rate long enough for the slot after the last one: who has just listed is to act on it.
    """
    return max(_PATIENCE, _PATIENT_SLOTS / rate)


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an account's upstream. Calls are those of the last five to ten seconds."""

    state: BreakerState
    good: int
    bad: int
    held_seconds: float
    """For how long it has asked to be left alone."""
    pause_seconds: float
    """Until an open breaker lets a call try."""


class Admission:
    """The way to one account of an upstream."""

    def __init__(self, redis: Redis, upstream: Upstream) -> None:
        self._redis = redis
        name = hashlib.sha256(f"{upstream.url}\0{upstream.user}".encode()).hexdigest()
        self.key = b"bindery:upstream:%s" % name[:24].encode()
        self._url = upstream.url
        self._host = upstream.host
        self._rate = upstream.rate
        self._good = 0
        self._state: str = "closed"

    async def admit(self, deadline: float | None = None) -> bool:
        """Return when a call may go; answers whether it is a probe. Each admitted call ends with ``done``.

        Raises:
            NotItsTurn: not now, nor within ``patience``, nor before ``deadline`` (on the monotonic clock).
        """
        good, self._good = self._good, 0
        longest = patience(self._rate)
        if deadline is not None:
            longest = min(longest, max(0.0, deadline - time.monotonic()))
        verdict, seconds = await self._run("admit", good=good, patience=longest)
        if verdict == b"no":
            raise NotItsTurn(f"the upstream is left alone for now (breaker {self._state})", seconds)
        observe_wait(self._host, seconds)
        if seconds > 0:
            await asyncio.sleep(seconds)
        return verdict == b"probe"

    async def done(self, probe: bool, *, good: bool) -> None:
        """Tell how an admitted call has ended. Good news waits for the next call; nothing fails for want of it."""
        if good and not probe:
            self._good += 1
            return
        with suppress(NotItsTurn):
            if probe:
                await self._run("probed", good=int(good), bad=int(not good))
            else:
                before, self._good = self._good, 0
                await self._run("done", good=before, bad=1)

    async def hold(self, seconds: float | None) -> None:
        """Leave the account alone, as it has asked; for a second if it did not say for how long."""
        spread = random.uniform(1.0, 1.1)  # noqa: S311  # jitter
        wish = min(_HOLD_SECONDS if seconds is None else seconds, LONGEST_RETRY_AFTER)
        with suppress(NotItsTurn):
            await self._run("done", hold=wish * spread)

    async def health(self) -> Health:
        """What every process sees of it.

        Raises:
            RedisError: the store could not be asked.
        """
        _, _, state, good, bad, held, pause = await self._ask("look")
        return Health(state=state.decode(), good=good, bad=bad, held_seconds=held / 1000, pause_seconds=pause / 1000)

    async def _run(self, ask: str, **numbers: float) -> tuple[bytes, float]:
        try:
            verdict, ms, state, *_ = await self._ask(ask, **numbers)
        except RedisError as error:
            # Without the store nothing could be settled either.
            raise NotItsTurn(f"admission could not be asked for ({type(error).__name__})", _AWAY_SECONDS) from None
        self._note(state.decode())
        return verdict, ms / 1000

    async def _ask(self, ask: str, *, good: float = 0, bad: float = 0, patience: float = 0.0, hold: float = 0.0) -> Any:
        burst = max(1.0, self._rate * _BURST_SECONDS)
        jitter = random.random()  # noqa: S311  # jitter
        numbers = (good, bad, self._rate, burst, 1000 * patience, 1000 * hold, jitter)
        return await self._redis.run(_script, self.key, [ask, *(f"{n:.6g}" for n in numbers)])

    def _note(self, state: str) -> None:
        if state != self._state:
            self._state = state
            (_log.info if state == "closed" else _log.warning)("upstream_breaker", state=state, upstream=self._url)
