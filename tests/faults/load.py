"""Users who log in, log out, take over, rotate and are refused, at random, and look up all the while."""

from __future__ import annotations

import asyncio
from typing import Self

import msgspec

from tests.faults.checker import Violation
from tests.faults.history import CHAT, NOTIFY, History
from tests.faults.running import JSON, SERVICE, Running
from tests.faults.user import User


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How much load: so many clients, which share some addresses, each resting up to ``pause`` seconds in between.

    Their tokens live for ``lifetimes`` seconds, in turn; where clocks are stepped they are ``refusable``. Loads of
    different ``turn`` share nothing, so that one may follow another on the same deployment.
    """

    clients: int = 16
    shared: int = 8
    pause: float = 0.02
    lifetimes: tuple[int, ...] = (7200,)
    refusable: bool = False
    turn: int = 0


class Load:
    """The clients, and the history of what they did."""

    def __init__(self, deployment: Running, seed: int, plan: Plan) -> None:
        self.deployment, self.plan = deployment, plan
        self.label = f"{plan.turn}-" if plan.turn else ""
        self.crowd = f"{self.label}crowd"
        """An identity that everybody registers addresses for, so that it is always about to reach the cap."""
        self.history = History()
        self.clients = [User(self, number, seed) for number in range(plan.clients)]
        self._ending = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def ending(self) -> bool:
        """Whether clients should come to an end."""
        return self._ending.is_set()

    @property
    def identities(self) -> list[str]:
        """Everybody."""
        return [self.crowd, *(identity for client in self.clients for identity in client.identities)]

    def shared(self, number: int) -> str:
        """An address that several clients fight for: of an Apple device, or a phone number."""
        alone = self.plan.turn * self.plan.shared + number
        return f"+1500{5550000 + alone}" if number % 4 == 3 else f"{0xAA00 + alone:064x}"

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(client.run()) for client in self.clients]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ending.set()
        try:
            await asyncio.gather(*self._tasks)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def check_alive(self) -> None:
        """Raise what a client has failed with."""
        for task in self._tasks:
            if task.done():
                task.result()

    async def look_at_everything(self) -> list[Violation]:
        """Put the final state into the history; answers where what is applied is not what is desired."""
        observer = self.clients[0]
        # A connection that was kept from before the last fault would be lost at the first request.
        await observer.aclose()
        found = await observer.look_up(self.identities)
        assert found is not None, "a lookup is not answered although everything is up again"
        violations = []
        for identity, shown in found.items():
            desired = {a for a, channels in shown.items() if channels & NOTIFY}
            listed = await observer.list_notify(identity)
            if listed is None or set(listed) != desired:
                violations.append(Violation(rule="applied", detail=f"{identity} wants {desired} and has {listed}"))
            answer = await observer.send("GET", f"/v2/Services/{SERVICE}/Users/{identity}/Bindings", JSON)
            endpoints = answer.json()["bindings"] if answer is not None and answer.status == 200 else []
            if len(endpoints) != sum(1 for channels in shown.values() if channels & CHAT):
                violations.append(Violation(rule="applied", detail=f"{identity} has {len(endpoints)} Chat bindings"))
        violations += [Violation(rule="applied", detail=left) for left in self.deployment.unsettled()]
        return violations

    async def aclose(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(client.aclose() for client in self.clients))
