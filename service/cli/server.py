"""uvicorn's server, except that it stops without losing a request.

uvicorn closes idle connections at once, and with them whatever request is just on its way there: a client cannot tell
whether it was processed, and must not repeat it. Here a stopping process first says that it is not ready, goes on
accepting for as long as it is told to, and lets each connection go with an answer that says so (RFC 9112, 9.6).
"""

from __future__ import annotations

import asyncio
import socket
import time

import uvicorn
from uvicorn.server import ServerState

from service.lifecycle import Lifecycle

_TICK = 0.1


class StoppableState(ServerState):
    """What connections share; once ``stopping`` each answer is its connection's last."""

    stopping = False


class Server(uvicorn.Server):
    """Stops in this order: not ready; for ``delay`` seconds everything else as before, but each answer ends its
    connection; no new connections; what is under way is answered, within the grace of the configuration.
    """

    def __init__(self, config: uvicorn.Config, *, delay: float, lifecycle: Lifecycle) -> None:
        super().__init__(config)
        self._delay, self._lifecycle = delay, lifecycle
        self.server_state: StoppableState = StoppableState()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop; uvicorn's main loop has ended."""
        self._lifecycle.stopping = self.server_state.stopping = True
        end, tick = time.monotonic() + self._delay, 0
        while time.monotonic() < end and not self.force_exit:
            # As in the main loop: it keeps the Date header right.
            await self.on_tick(tick)
            tick += 1
            await asyncio.sleep(_TICK)
        await super().shutdown(sockets)
