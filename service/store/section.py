"""One Service's section of the store: its keys, its fingerprints, and how its scripts are called."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeAlias

from prometheus_client import Histogram

from service.domain.errors import BinderyError, StoreFull, StoreRefused, StoreUnavailable, TooManyRequests
from service.domain.fingerprints import Fingerprints, check_value
from service.domain.record import NO_CHANNEL, Channel
from service.redis import NotSent, Overloaded, Redis, Refused, ReplyError, Unavailable, info_of
from service.store.scripts import script
from service.telemetry.catalogue import STORE_CALLS, STORE_FAULTS

SCHEMA = 1
"""Version of everything that the scripts keep. A store of a newer one is refused."""

NO_EVICTION = "noeviction"

Argument: TypeAlias = bytes | Callable[[], bytes]
"""What a transaction is told; a section without an upstream has no others than bytes."""

Run: TypeAlias = Callable[..., Awaitable[Any]]
"""How a transaction is run: by its name, with its arguments."""

_LEAST_SECONDS = 0.2
"""What a transaction gets after an opening that took nearly all the time."""

_FULL = frozenset({"OOM", "MISCONF"})


@cache
def _timing(name: str) -> Histogram:
    return STORE_CALLS.labels(name)


class Section:
    """What every use of one Service's data goes through. Every key starts with the anchor, and lives in its slot."""

    cut_over = NO_CHANNEL
    """The channels for which this store has become the backend in place of the configured upstreams."""

    _script = staticmethod(script)

    def __init__(self, redis: Redis, service_sid: str, key: bytes) -> None:
        self.redis = redis
        self.service_sid = service_sid
        self.anchor = b"{%s}" % service_sid.encode()
        self.fingerprints = Fingerprints(key, service_sid)
        self.check = check_value(key)
        self._opened = False
        self._opening: asyncio.Task[None] | None = None

    async def run(self, name: str, *args: Argument) -> Any:
        """Run a transaction. Opening the section first, where it must be, counts towards the same time.

        Raises:
            StoreUnavailable: no answer in time; a write may have taken effect.
            StoreFull: the store refuses writes for want of memory or disk.
        """
        left = None if self._opened else await self._open_in_time()
        openings = 0
        while True:
            try:
                return await self._run(name, args, left)
            except ReplyError as error:
                # Twice: another's opening, joined here, may have looked before the store was emptied.
                if error.code != "NOANCHOR" or openings == 2:
                    raise _translated(error) from None
            # The store was emptied under us. The script wrote nothing; make the anchor and run it again.
            self._opened = False
            left = await self._open_in_time()
            openings += 1

    def bound(self, channel: Channel, *, here: bool) -> Run:  # noqa: ARG002  # of use where there is an upstream
        """How transactions are run that are right only while a channel's bindings are kept here, or at an upstream."""
        return self.run

    def by_backend(self, external: Channel, say: Callable[[Channel], bytes]) -> Argument:
        """An argument that depends on the channels whose bindings are at an upstream."""
        return say(external)

    async def follow(self) -> None:
        """See where the bindings are kept now; without an upstream nowhere else."""

    async def _open_in_time(self) -> float:
        """Answers the seconds that are left of a call's time."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(self.redis.timeout):
                await self.open()
        except TimeoutError:
            raise StoreUnavailable("The store cannot be reached; nothing was changed") from None
        return max(_LEAST_SECONDS, began + self.redis.timeout - time.monotonic())

    async def _run(self, name: str, args: Sequence[Any], seconds: float | None = None) -> Any:
        began = time.perf_counter()
        try:
            reply = await self.redis.run(self._script(name), self.anchor, args, timeout=seconds)
        except Unavailable as error:
            raise _away(error) from None
        except ReplyError as error:
            STORE_FAULTS.labels("full" if error.code in _FULL else "error").inc()
            raise
        _timing(name).observe(time.perf_counter() - began)
        return reply

    async def open(self) -> None:
        """Make the Service's anchor, or check it: once for all who ask for it at the same time.

        Raises:
            StoreRefused: written by a newer schema, or under another fingerprint key; or its server evicts.
            StoreUnavailable, StoreFull, TooManyRequests: it could not be asked.
        """
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(self._opening_ended)
        # Shielded: one who no longer waits takes nothing from the others.
        await asyncio.shield(self._opening)

    @property
    def opened(self) -> bool:
        """Whether the anchor has been checked."""
        return self._opened

    def _opening_ended(self, opening: asyncio.Task[None]) -> None:
        self._opening = None
        if not opening.cancelled():
            # Looked at, or asyncio complains where everybody who waited has left.
            opening.exception()

    async def look(self) -> bool:
        """Whether the Service has a section; nothing is written.

        Raises:
            StoreRefused: written by a newer schema, or under another fingerprint key.
            StoreUnavailable, TooManyRequests: it could not be asked.
        """
        with as_ours():
            made: Any = await self.redis.command("HMGET", self.anchor, "schema", "check", key=self.anchor)
        if made[0] is None:
            return False
        self._refuse_others(made)
        return True

    async def _open(self) -> None:
        # Looked at first: a store that takes no writes just now can still be read.
        found = await self.look()
        if not found or not self._opened:
            # Asked once: a server that is set to evict later should not take down all that is in use.
            with as_ours():
                await self._refuse_eviction()
        if not found:
            with as_ours():
                made: Any = await self._run("open", (b"%d" % SCHEMA, self.check.encode()))
            self._refuse_others(made)
        self._opened = True

    def _refuse_others(self, made: Any) -> None:
        schema, check = made
        if int(schema) > SCHEMA:
            raise StoreRefused(
                f"The store has schema {int(schema)}, newer than {SCHEMA}: run the version that wrote it"
            )
        if check.decode() != self.check:
            raise StoreRefused("The store was written under another BINDERY_SECRET_KEY: start with that one")

    async def _refuse_eviction(self) -> None:
        try:
            said = info_of(await self.redis.command("INFO", "memory", key=self.anchor))
        except ReplyError:
            return  # a login that may not ask
        policy = said.get("maxmemory_policy", NO_EVICTION)
        if policy != NO_EVICTION:
            raise StoreRefused(
                f"The store evicts, and would forget registrations (maxmemory-policy {policy}): "
                f"CONFIG SET maxmemory-policy {NO_EVICTION}, and set it where the server is configured"
            )


@contextmanager
def as_ours() -> Iterator[None]:
    """Errors of the store's client as ours."""
    try:
        yield
    except Unavailable as error:
        raise _away(error) from None
    except ReplyError as error:
        raise _translated(error) from None


def _away(error: Unavailable) -> BinderyError:
    if isinstance(error, Overloaded):
        STORE_FAULTS.labels("overloaded").inc()
        return TooManyRequests()
    if isinstance(error, NotSent):
        STORE_FAULTS.labels("not-sent").inc()
        if isinstance(error, Refused):  # waiting will not mend it
            return StoreUnavailable("The store refuses our login, database or certificate; nothing was changed")
        return StoreUnavailable("The store cannot be reached; nothing was changed")
    STORE_FAULTS.labels("no-answer").inc()
    return StoreUnavailable("The store did not answer in time; the request may have taken effect")


def _translated(error: ReplyError) -> BinderyError:
    if error.code in _FULL:
        return StoreFull()
    return StoreUnavailable(f"The store answered with an error ({error.code})")
