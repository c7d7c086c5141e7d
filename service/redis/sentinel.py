"""Finding the primary through Redis Sentinel (https://redis.io/docs/latest/develop/reference/sentinel-clients/)."""

from __future__ import annotations

from service.redis.dial import Dialer
from service.redis.errors import NotSent, ReplyError, Unavailable
from service.redis.info import info_of
from service.redis.link import Link
from service.redis.url import TCP, Address


class SentinelDialer:
    """Connects to the primary of a given name, as the first Sentinel that answers sees it."""

    def __init__(self, sentinels: tuple[Address, ...], name: str, ask: Dialer, connect: Dialer) -> None:
        self._sentinels = list(sentinels)
        self._name = name
        self._ask = ask
        self._connect = connect

    async def open(self) -> Link:
        """A connection to a server that says itself that it is the primary.

        Raises what Dialer.open() raises, and NotSent if no Sentinel knows the primary.
        """
        link = await self._connect.open(await self._locate())
        confirmed = False
        try:
            # A Sentinel may not have noticed yet, or a former primary has come back as one for a moment.
            # Not by ROLE, which is administration to an ACL: a login without any is enough (docs/runbook.md).
            said = info_of(await self._connect.query(link, "INFO", "replication"))
            confirmed = said.get("role") == "master"
        finally:
            if not confirmed:
                link.abort("the server is not the primary")
        if not confirmed:
            raise NotSent("the server that Sentinel named is not the primary")
        return link

    async def _locate(self) -> TCP:
        failure: Exception | None = None
        for sentinel in list(self._sentinels):
            try:
                address = await self._ask_one(sentinel)
            except (OSError, Unavailable, ReplyError) as error:
                failure = error
            else:
                if address is not None:
                    return address
            # The next search starts with one that may know more.
            self._sentinels.remove(sentinel)
            self._sentinels.append(sentinel)
        if failure is not None:
            raise failure
        raise NotSent("no Sentinel knows a primary of that name")

    async def _ask_one(self, sentinel: Address) -> TCP | None:
        link = await self._ask.open(sentinel)
        try:
            match await self._ask.query(link, "SENTINEL", "get-master-addr-by-name", self._name):
                case [bytes(host), bytes(port)]:
                    return TCP(host.decode(), int(port))
        finally:
            link.abort("the question was answered")
        return None
