"""Opening a connection: TCP, TLS or unix socket, then AUTH, SELECT and CLIENT SETNAME in one write."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Final

import msgspec

from service.redis.call import Reply
from service.redis.errors import Refused, ReplyError
from service.redis.link import Link
from service.redis.url import Address, Login, Unix

#: Error replies to a handshake that mean "not now"; all others mean "not you".
_NOT_NOW: Final = frozenset({"LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN"})


class Dialer(msgspec.Struct, frozen=True):
    """Opens connections that are logged in. `timeout` is for the whole of one attempt, in seconds."""

    login: Login
    tls: ssl.SSLContext | None
    client_name: str
    timeout: float = 1.0

    async def open(self, address: Address) -> Link:
        """A connection ready for commands.

        Raises OSError (TimeoutError is one), ReplyError, Unavailable, or Refused for what waiting won't mend.
        """
        link = Link()
        ready = False
        try:
            async with asyncio.timeout(self.timeout):
                await self._connect(link, address)
                await self._introduce(link)
            ready = True
        except ssl.SSLCertVerificationError as error:
            raise Refused(f"the Redis server's certificate is not trusted: {error.verify_message}") from error
        finally:
            if not ready:
                link.abort("the connection attempt failed")
        return link

    async def query(self, link: Link, *args: str) -> Reply:
        """One command on a link that nobody owns yet, answered within the timeout. Raises as open() does."""
        async with asyncio.timeout(self.timeout):
            return await link.ask(*args)

    async def _connect(self, link: Link, address: Address) -> None:
        loop = asyncio.get_running_loop()
        if isinstance(address, Unix):
            await loop.create_unix_connection(lambda: link, address.path)
            return
        transport, _ = await loop.create_connection(lambda: link, address.host, address.port, ssl=self.tls)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    async def _introduce(self, link: Link) -> None:
        login = self.login
        steps: list[tuple[str, asyncio.Future[Reply]]] = []

        def say(*args: str | int) -> None:
            steps.append((str(args[0]), link.ask(*args)))

        if login.password is not None:
            say("AUTH", *([login.username] if login.username else []), login.password)
        if login.db:
            say("SELECT", login.db)
        say("CLIENT", "SETNAME", self.client_name)
        # Waits for all of them first: a future that failed unseen would be reported as a fault of ours.
        results = await asyncio.gather(*(future for _, future in steps), return_exceptions=True)
        for (step, _), result in zip(steps, results, strict=True):
            if isinstance(result, ReplyError):
                _judge(step, result)
            elif isinstance(result, BaseException):
                raise result


def _judge(step: str, error: ReplyError) -> None:
    if error.code in _NOT_NOW or "max number of clients" in error.message:
        raise error
    if step == "CLIENT" and error.code not in ("NOAUTH", "DENIED"):
        return  # The name is a courtesy to whoever reads CLIENT LIST; an ACL may withhold it.
    raise Refused(f"the Redis server refused {step}: {error}") from error


def explain(error: Exception) -> str:
    """Says why a connection attempt failed, without hosts or paths."""
    if isinstance(error, TimeoutError):
        return "no connection to Redis: timed out"
    if isinstance(error, OSError):
        # asyncio joins the failures of a name's several addresses into an OSError that has only a text, with them.
        return f"no connection to Redis: {error.strerror or 'none of its addresses can be reached'}"
    return f"no connection to Redis: {error}"
