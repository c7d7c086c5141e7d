"""A runtime on a real store with one Service, whose lanes tests drain by hand or leave to a worker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from service.backends import Failure
from service.bootstrap import Runtime
from service.domain.addresses import BindingType
from service.domain.jobs import LANES, DrainLane, Lane, Ledger
from service.domain.record import Channel, Record, State
from service.store.registrations import Outcome
from service.usecases.registering import Request, register
from workers.drain import drain_lane
from workers.pace import Pace

SERVICE = "IS" + "1" * 32


def environment(redis_url: str, queue_url: str | None = None) -> dict[str, str]:
    """The least settings of a worker."""
    return {
        "BINDERY_REDIS_URL": redis_url,
        "BINDERY_QUEUE_URL": queue_url or redis_url,
        "BINDERY_SECRET_KEY": "k" * 32,
        "BINDERY_ACCOUNT_SID": "AC" + "0" * 32,
        "BINDERY_AUTH_TOKEN": "t" * 32,
        "BINDERY_SERVICE_SID": SERVICE,
        "BINDERY_JWT_SECRET": "j" * 32,
    }


class Bench:
    """What the tests do with a runtime."""

    def __init__(self, running: Runtime) -> None:
        self.running = running
        self.service = running.directory.default()
        self.stopping = asyncio.Event()

    async def login(
        self,
        identity: str,
        address: str,
        device: str | None = None,
        *,
        tags: tuple[str, ...] = (),
        channels: Channel = Channel.NOTIFY,
        traceparent: str | None = None,
    ) -> Outcome:
        """Register an address, as the API does."""
        request = Request(
            identity=identity, kind=BindingType.FCM, address=address, device_id=device, tags=tags, channels=channels
        )
        outcome, _ = await register(self.service, request, traceparent=traceparent)
        return outcome

    async def login_many(self, count: int) -> list[str]:
        """Register so many addresses of so many identities, 64 at a time; answers the addresses."""
        addresses = [f"token-{n}" for n in range(count)]

        async def some(part: list[str]) -> None:
            for address in part:
                await self.login(f"of-{address}", address)

        await asyncio.gather(*(some(addresses[n::64]) for n in range(64)))
        return addresses

    async def record(self, address: str) -> Record:
        """The registration of an address."""
        record = await self.service.reading.registration(self.service.fingerprints.address(address))
        assert record is not None
        return record

    async def applied(self, addresses: Sequence[str]) -> bool:
        """Whether all of them are applied."""
        for address in addresses:
            if (await self.record(address)).notify != State.APPLIED:
                return False
        return True

    def lane(self, address: str) -> Lane:
        """The Notify lane of an address."""
        return Lane(SERVICE, Ledger.NOTIFY, self.service.fingerprints.address(address)[2] % LANES)

    async def drain(self, lane: Lane, traceparent: str | None = None, *, pace: Pace | None = None) -> None:
        """Run the job for a lane, as arq does."""
        pace = pace or Pace(lambda: False)
        ctx = {"directory": self.running.directory, "stopping": self.stopping, "pace": pace}
        await drain_lane(ctx, msgspec.to_builtins(DrainLane(lane, traceparent)))

    async def drain_all(self) -> None:
        """Run a job for every lane."""
        for ledger in Ledger:
            for number in range(LANES):
                await self.drain(Lane(SERVICE, ledger, number))

    async def depth(self) -> int:
        """Entries in the ledgers."""
        return await self._entries(Ledger, "+inf")

    async def due(self) -> int:
        """Entries in the Notify ledger that nobody holds a lease on."""
        clock: Any = await self.running.store.command("TIME", key=self.service.section.anchor)
        return await self._entries([Ledger.NOTIFY], int(clock[0]) * 1000 + int(clock[1]) // 1000)

    async def owed(self) -> list[tuple[bytes, bytes, float]]:
        """What the Notify ledger holds: key of the lane, entry, due at (milliseconds; a lease's have a fraction)."""
        anchor, owed = self.service.section.anchor, []
        for lane in range(LANES):
            key = b"%b:n%d" % (anchor, lane)
            found: Any = await self.running.store.command("ZRANGE", key, 0, -1, "WITHSCORES", key=anchor)
            owed += [(key, entry, float(score)) for entry, score in zip(found[::2], found[1::2], strict=True)]
        return owed

    async def delays_are_over(self) -> None:
        """As if what is to be tried later had waited for long."""
        await self._set_due("1", leased=False)

    async def leases_are_over(self) -> None:
        """As if whoever holds a lease had died long ago."""
        await self._set_due("1.5", leased=True)

    async def _set_due(self, score: str, *, leased: bool) -> None:
        anchor = self.service.section.anchor
        for key, entry, due in await self.owed():
            if due.is_integer() is not leased:
                await self.running.store.command("ZADD", key, "XX", score, entry, key=anchor)

    async def _entries(self, ledgers: Iterable[Ledger], until: int | str) -> int:
        anchor, total = self.service.section.anchor, 0
        for ledger in ledgers:
            for lane in range(LANES):
                key = b"%b:%b%d" % (anchor, ledger.value.encode(), lane)
                count: Any = await self.running.store.command("ZCOUNT", key, "-inf", until, key=anchor)
                total += count
        return total


class Troubled:
    """A backend that can be held up, and fails and breaks as a test says.

    ``behave`` is called with each record that is put; it may raise, or answer a failure.
    """

    def __init__(self, behave: Callable[[Record], Failure | None] = lambda _: None) -> None:
        self.behave = behave
        self.bindings: dict[str, tuple[str, ...]] = {}
        self.calls = 0
        self.called = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def put(self, records: Sequence[Record]) -> Sequence[Failure | None]:
        """Holds the bindings' tags by address."""
        self.calls += 1
        self.called.set()
        await self.go_on.wait()
        failures = [self.behave(record) for record in records]
        for record, failure in zip(records, failures, strict=True):
            if failure is None:
                self.bindings[record.address] = record.attributes.tags
        return failures

    async def delete(self, records: Sequence[Record]) -> Sequence[Failure | None]:
        """Forgets them."""
        for record in records:
            self.bindings.pop(record.address, None)
        return [None] * len(records)
