"""One Service's section of the store: its keys, its fingerprints, and how its scripts are called."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from service.domain.errors import BinderyError, StoreFull, StoreUnavailable, TooManyRequests
from service.domain.fingerprints import Fingerprints, check_value
from service.redis import NotSent, Overloaded, Redis, ReplyError, Unavailable
from service.store.scripts import script

SCHEMA = 1
"""Version of everything that the scripts keep. A store of a newer one is refused."""


class StoreRefused(BinderyError):
    """The store belongs to a newer version, or to another secret key; nothing may be read or written."""

    slug, title, status, code = (
        "store-refused",
        "The store was written by another version or another key",
        503,
        20503,
    )
    retry_after = 60


class Section:
    """What every use of one Service's data goes through. Every key starts with the anchor, and lives in its slot."""

    def __init__(self, redis: Redis, service_sid: str, key: bytes) -> None:
        self.redis = redis
        self.service_sid = service_sid
        self.anchor = b"{%s}" % service_sid.encode()
        self.fingerprints = Fingerprints(key, service_sid)
        self._check = check_value(key)
        self._opened = False
        self._opening = asyncio.Lock()

    async def run(self, name: str, *args: bytes) -> Any:
        """Run a transaction.

        Raises:
            StoreUnavailable: no answer in time; a write may have taken effect.
            StoreFull: the store refuses writes for want of memory or disk.
        """
        if not self._opened:
            # Once for all who wait: a process's first requests come together.
            async with self._opening:
                if not self._opened:
                    await self.open()
        try:
            return await self._run(name, args)
        except ReplyError as error:
            if error.code != "NOANCHOR":
                raise _translated(error) from None
        # The store was emptied under us. The script wrote nothing; make the anchor and run it again.
        await self.open()
        try:
            return await self._run(name, args)
        except ReplyError as error:
            raise _translated(error) from None

    async def _run(self, name: str, args: Sequence[bytes]) -> Any:
        try:
            return await self.redis.run(script(name), self.anchor, args)
        except Overloaded:
            raise TooManyRequests from None
        except NotSent:
            raise StoreUnavailable("The store cannot be reached; nothing was changed") from None
        except Unavailable:
            raise StoreUnavailable("The store did not answer in time; the request may have taken effect") from None

    async def open(self) -> None:
        """Make the Service's anchor, or check it.

        Raises:
            StoreRefused: written by a newer schema, or under another fingerprint key.
        """
        try:
            schema, check = await self._run("open", (b"%d" % SCHEMA, self._check.encode()))
        except ReplyError as error:
            raise _translated(error) from None
        if int(schema) > SCHEMA:
            raise StoreRefused(
                f"The store has schema {int(schema)}, newer than {SCHEMA}: run the version that wrote it"
            )
        if check.decode() != self._check:
            raise StoreRefused("The store was written under another BINDERY_SECRET_KEY: start with that one")
        self._opened = True


def _translated(error: ReplyError) -> BinderyError:
    if error.code in ("OOM", "MISCONF"):
        return StoreFull()
    return StoreUnavailable(f"The store answered with an error ({error.code})")
