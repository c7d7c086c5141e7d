"""What a device costs in memory, and what a registration costs as the store grows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from service.bootstrap import runtime
from service.domain.addresses import BindingType
from service.settings import load
from tests.benchmarks import cases
from tests.benchmarks.deployment import environment
from tests.benchmarks.devices import devices
from tests.benchmarks.fill import fill_by_processes
from tests.benchmarks.measuring import Plan, Sample, Spread, by_turns, spread
from tests.benchmarks.rounds import TURNS
from tests.benchmarks.scale import Scale
from tests.benchmarks.site import Site, beside
from tests.servers.valkey import ValkeyServer, wait_until

_REWRITE = 120.0
_CHECKED = 1000


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes per device by provider, and samples of new registrations in a small and a large store."""

    bytes_apn: float
    bytes_fcm: float
    small: list[Sample]
    large: list[Sample]

    def cost(self) -> Spread:
        """CPU of API, worker and store together per registration in the large store, as a multiple of the small's."""
        pairs = zip(self.small, self.large, strict=True)
        return spread([sum(large.cpu.values()) / sum(small.cpu.values()) for small, large in pairs])

    def rate(self) -> Spread:
        """The small store's rate as a multiple of the large's."""
        return spread([small.rate / large.rate for small, large in zip(self.small, self.large, strict=True)])


async def run(folder: Path, scale: Scale, say: Callable[[str], None]) -> Growth:
    """Fill the stores, weigh them, then register in both by turns.

    Raises AssertionError if a registration is refused, or not found as it must be.
    """
    say(f"filling a store with {scale.fcm:,} FCM devices")
    async with filled(folder, scale.fcm, BindingType.FCM) as (_, bytes_fcm):
        pass
    async with AsyncExitStack() as stack:
        few, _ = await stack.enter_async_context(filled(folder, scale.small))
        small = await stack.enter_async_context(beside(few, folder, "small"))
        say(f"filling a store with {scale.large:,} APNs devices")
        many, bytes_apn = await stack.enter_async_context(filled(folder, scale.large))
        large = await stack.enter_async_context(beside(many, folder, "large"))
        found = Growth(bytes_apn=bytes_apn, bytes_fcm=bytes_fcm, small=[], large=[])
        for number in range(scale.rounds):
            say(f"growth, round {number + 1} of {scale.rounds}")
            plans = [(site, await _plan(site, number, scale.requests // 2)) for site in (small, large)]
            samples = await by_turns(TURNS, *((cases.endpoint(site), plan) for site, plan in plans))
            for kept, sample in zip((found.small, found.large), samples, strict=True):
                kept.append(sample)
        return found


async def _plan(site: Site, number: int, count: int) -> Plan:
    return await cases.new(site, "growth", count).prepare(number)


@asynccontextmanager
async def filled(
    folder: Path, count: int, kind: BindingType = BindingType.APN
) -> AsyncIterator[tuple[ValkeyServer, float]]:
    """A store with so many devices, and the bytes that each takes: all keys, and whatever else the server uses more.

    It is filled without waiting for the disk, and goes on with ``appendfsync always``.
    """
    with ValkeyServer("--hash-max-listpack-entries", "512", appendfsync="no") as valkey:
        async with runtime(load(environment(valkey.url))) as running:
            await running.open_store()
            empty = used_memory(valkey)
            fill_by_processes(valkey.url, folder, "filled", count, kind=kind)
            wait_until(lambda: not _rewriting(valkey), "the append-only file is rewritten", _REWRITE)
            valkey.call("CONFIG", "SET", "appendfsync", "always")
            size = (used_memory(valkey) - empty) / count
            service = running.directory.default()
            some = devices("filled", min(_CHECKED, count), first=max(0, count - _CHECKED), kind=kind)
            for each in some:
                record = await service.reading.registration(service.fingerprints.address(each.address))
                assert record is not None
                assert record.attributes.identity == each.identity
        yield valkey, size


def used_memory(valkey: ValkeyServer) -> int:
    """Bytes that the server has in use, all told."""
    return int(valkey.info("memory")["used_memory"])


def _rewriting(valkey: ValkeyServer) -> bool:
    state = valkey.info("persistence")
    return state["aof_rewrite_in_progress"] == "1" or state["aof_rewrite_scheduled"] == "1"
