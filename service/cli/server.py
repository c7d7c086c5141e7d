"""uvicorn's server, except that it stops without losing a request.

uvicorn closes idle connections at once, and with them whatever request is just on its way there: a client cannot tell
whether it was processed, and must not repeat it. Here a stopping process first says that it is not ready, goes on
accepting for as long as it is told to, and lets each connection go with an answer that says so (RFC 9112, 9.6).
"""

from __future__ import annotations

import asyncio
import socket
import time

import structlog
import uvicorn
from uvicorn.lifespan.on import LifespanOn, LifespanSendMessage
from uvicorn.server import ServerState

from service import lifecycle
from service.lifecycle import Lifecycle

_TICK = 0.1

_log = structlog.get_logger(__name__)


class StoppableState(ServerState):
    """What connections share; once ``stopping`` each answer is its connection's last."""

    stopping = False


class Lifespan(LifespanOn):
    """uvicorn's, but silent about a start that has ended with its reason told: no traceback after it."""

    async def send(self, message: LifespanSendMessage) -> None:
        """Take what the application says of its start or its end."""
        if message["type"] == "lifespan.startup.failed" and lifecycle.process.refused:
            message["message"] = ""
        await super().send(message)


class Server(uvicorn.Server):
    """Stops in this order: not ready; for ``delay`` seconds everything else as before, but each answer ends its
    connection; no new connections; what is under way is answered, within the grace of the configuration.
    """

    def __init__(self, config: uvicorn.Config, *, delay: float, lifecycle: Lifecycle) -> None:
        super().__init__(config)
        self._delay, self._lifecycle = delay, lifecycle
        self.server_state: StoppableState = StoppableState()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start; the application is loaded, and nothing of it has run."""
        if isinstance(self.lifespan, LifespanOn):
            self.lifespan = Lifespan(self.config)
        try:
            await super().startup(sockets)
        except SystemExit:
            if not self.lifespan.should_exit:
                # uvicorn has said why; not by which setting.
                _log.error("cannot_listen", setting="BINDERY_PORT", host=self.config.host, port=self.config.port)
            raise

    def end(self, *_: object) -> None:
        """Take a signal that came before uvicorn takes them: end as soon as there is something to end."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop; uvicorn's main loop has ended."""
        self._lifecycle.stopping = self.server_state.stopping = True
        end, tick = time.monotonic() + self._delay, 0
        while time.monotonic() < end and not self.force_exit:
            # As in the main loop: it keeps the Date header right.
            await self.on_tick(tick)
            tick += 1
            await asyncio.sleep(_TICK)
        self._lifecycle.leaving = True
        await super().shutdown(sockets)
