"""Waiting until a registration is applied, for callers who prefer that to asking again (RFC 7240, ``wait``)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from service.domain.errors import BinderyError, NotFound
from service.domain.limits import WAITERS
from service.domain.sids import RegistrationId
from service.usecases.registering import find
from service.usecases.service import Service
from service.usecases.views import PastRegistrationView, PastState, RegistrationState, RegistrationView, past_view

_FIRST_PAUSE, _LONGEST_PAUSE = 0.002, 0.05


class WaitingRoom:
    """Where the requests of a process wait. It has a fixed number of seats: each asks the store again and again.

    Once it ``is_closing`` everybody leaves with what is known.
    """

    def __init__(self, seats: int = WAITERS, *, is_closing: Callable[[], bool] = lambda: False) -> None:
        self._free = seats
        self._is_closing = is_closing

    async def applied(
        self, service: Service, accepted: RegistrationView, seconds: float
    ) -> RegistrationView | PastRegistrationView | None:
        """What became of an accepted registration when it was no longer pending, or after so many seconds.

        None if every seat is taken: then nobody waited. Raises nothing: if the store goes away meanwhile the
        registration is accepted all the same, and the answer what was known last.
        """
        if self._free <= 0:
            return None
        self._free -= 1
        try:
            return await _applied(service, accepted, seconds, self._is_closing)
        finally:
            self._free += 1


async def _applied(
    service: Service, accepted: RegistrationView, seconds: float, is_closing: Callable[[], bool]
) -> RegistrationView | PastRegistrationView:
    loop = asyncio.get_running_loop()
    deadline, pause = loop.time() + seconds, _FIRST_PAUSE
    current: RegistrationView | PastRegistrationView = accepted
    try:
        async with asyncio.timeout_at(deadline):
            while current.state is RegistrationState.PENDING and not is_closing():
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_PAUSE)
                current = await find(service, accepted.id)
    except NotFound:
        # Its removal, too, has been applied meanwhile.
        id_ = RegistrationId.parse(accepted.id)
        if id_ is not None:
            current = past_view(service.sid, id_, PastState.REMOVED)
    except (BinderyError, TimeoutError):
        pass
    return current
