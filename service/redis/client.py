"""What every Redis client here can do, and the one place that decides whether a command is sent again."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from service.redis.call import Argument, Reply, pack
from service.redis.errors import NOT_RUN, NotSent, ReplyError, Rerouted
from service.redis.script import Script

#: Proof that a command did not run.
Proof: TypeAlias = ReplyError | Rerouted

_FIRST_PAUSE: Final = 0.01
_LAST_PAUSE: Final = 0.2
#: Redirections followed without a pause: one to learn of a move, one for a node that learnt of it late.
_FREE_REDIRECTIONS: Final = 2


class Redis(ABC):
    """Runs scripts and single commands, each answered or failed within its timeout, in seconds.

    All callers share one connection per server, so commands that block, subscribe or change the connection's
    state (BLPOP, SUBSCRIBE, MULTI, SELECT, WATCH) must not be sent.

    A command is sent again only after an error reply that proves that it did not run (`errors.NOT_RUN`).
    A script could in principle meet such an error half-way, from a redis.call inside it; ours look at every
    key before their first write, so whatever they meet there comes before anything is written. What Redis
    itself finds wrong with a running script's access to a slot has the code ERR, and is never retried.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout

    async def run(
        self,
        script: Script,
        key: bytes,
        args: Sequence[Argument],
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - kept by the channel's one timer
    ) -> Reply:
        """Runs a script on one key, by its SHA; sends the source if the server doesn't know it.

        Raises NotSent, OutcomeUnknown or ReplyError.
        """
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        packed = pack(("EVALSHA", script.sha, 1, key, *args))
        try:
            return await self._send(packed, key, deadline)
        except (ReplyError, Rerouted) as error:
            proof = error
        return await self._resend(packed, key, deadline, proof, lambda: pack(("EVAL", script.source, 1, key, *args)))

    async def command(
        self,
        *args: Argument,
        key: bytes | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
    ) -> Reply:
        """Sends one command. `key` says where it belongs in a Cluster; without it, any primary will do.

        Raises NotSent, OutcomeUnknown or ReplyError.
        """
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        packed = pack(args)
        try:
            return await self._send(packed, key, deadline)
        except (ReplyError, Rerouted) as error:
            proof = error
        return await self._resend(packed, key, deadline, proof)

    @abstractmethod
    async def ping(self) -> None:
        """Returns if every primary answers; raises Unavailable or ReplyError if not."""

    @abstractmethod
    async def aclose(self) -> None:
        """Fails what is pending, closes the connections and ends all background work."""

    @abstractmethod
    def _send(self, packed: bytes, key: bytes | None, deadline: float) -> asyncio.Future[Reply]:
        """Queues a command for the key's primary. Raises Rerouted if that is unknown as yet."""

    @abstractmethod
    async def _send_after(
        self, proof: Proof, packed: bytes, key: bytes | None, deadline: float
    ) -> asyncio.Future[Reply]:
        """As _send, with what the proof says about where the key is. Raises NotSent."""

    async def _resend(
        self,
        packed: bytes,
        key: bytes | None,
        deadline: float,
        proof: Proof,
        with_source: Callable[[], bytes] | None = None,
    ) -> Reply:
        pause, redirections = _FIRST_PAUSE, 0
        while isinstance(proof, Rerouted) or proof.code in NOT_RUN:
            code = proof.code if isinstance(proof, ReplyError) else ""
            if code == "NOSCRIPT":
                if with_source is None:
                    raise proof
                packed, with_source = with_source(), None
            elif code in ("MOVED", "ASK") and redirections < _FREE_REDIRECTIONS:
                redirections += 1
            elif code:
                left = deadline - time.monotonic()
                await asyncio.sleep(max(0.0, min(pause, left)))
                pause = min(2 * pause, _LAST_PAUSE)
            if time.monotonic() >= deadline:
                raise NotSent(f"Redis was not ready in time: {code or proof}") from proof
            try:
                return await (await self._send_after(proof, packed, key, deadline))
            except (ReplyError, Rerouted) as error:
                proof = error
        raise proof
