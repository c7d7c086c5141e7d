"""The cases of the rounds: for each round the requests to send, and how to check what they have done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from tests.benchmarks import deployment as wire
from tests.benchmarks import load
from tests.benchmarks.devices import Device, devices
from tests.benchmarks.fill import fill
from tests.benchmarks.load import Result
from tests.benchmarks.measuring import Endpoint, Plan, nothing
from tests.benchmarks.peers.plain_worker import PEER_QUEUE
from tests.benchmarks.processes import Program
from tests.benchmarks.scale import Scale
from tests.benchmarks.site import Api, Site
from tests.waiting import eventually

PER_IDENTITY = 3
"""Bindings of each identity that is looked up alone."""
AT_ONCE = 100
"""Identities of a lookup of many."""


class Case(msgspec.Struct, frozen=True):
    """A named case: ``prepare`` makes the plan of a round, and whatever it builds upon."""

    name: str
    endpoint: Endpoint
    prepare: Callable[[int], Awaitable[Plan]]


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """What lasts over the rounds of a site: registered devices, their tokens, and identities with several devices."""

    devices: list[Device]
    tokens: list[str]
    several: list[Device]
    sids: list[str]


async def make_pool(site: Site, scale: Scale) -> Pool:
    """Register the pool of a site, through the script and, for their sessions, once over HTTP."""
    single = devices("pool", scale.pool)
    several = [
        msgspec.structs.replace(device, identity=single[n // PER_IDENTITY].identity + "-several")
        for n, device in enumerate(devices("several", scale.pool))
    ]
    several = several[: len(several) // PER_IDENTITY * PER_IDENTITY]
    await fill(site.service, iter(single), settle=True)
    await fill(site.service, iter(several), settle=True)
    tokens = [wire.bearer(device.identity) for device in single]
    await _expect(site, [wire.registration(d, token) for d, token in zip(single, tokens, strict=True)], 200)
    sids = [str(records[0].sid) for records in await site.records([device.identity for device in single])]
    return Pool(devices=single, tokens=tokens, several=several, sids=sids)


async def _expect(site: Site, requests: list[bytes], status: int) -> None:
    (await load.run(site.api.port, requests)).check(status)


def endpoint(site: Site) -> Endpoint:
    """A site's API, at the cost of all its processes."""
    return Endpoint(site.api.port, site.cpu)


def alone(api: Api) -> Endpoint:
    """API processes at the cost of nothing else."""
    return Endpoint(api.port, lambda: {"api": api.cpu_seconds()})


def new(site: Site, name: str, count: int) -> Case:
    """Devices that have never been seen, each with a token of its own; the worker runs beside."""

    async def prepare(number: int) -> Plan:
        fresh = devices(f"{name}-{number}", count)

        async def verify(_: Result) -> None:
            await site.check_holds(fresh)

        requests = [wire.registration(device) for device in fresh]
        return Plan(requests=requests, status=202, settled=site.settled, verify=verify)

    return Case(name, endpoint(site), prepare)


def enqueued(name: str, site: Site, peer: Api, worker: Program, count: int) -> Case:
    """New devices through the peer with a redis-py pool and a job each, on the store of a site.

    Its worker, which polls the queue all the time, is held still while others are measured.
    """
    worker.pause()

    def cpu() -> dict[str, float]:
        parts = {"api": peer.cpu_seconds(), "worker": worker.cpu_seconds()}
        return parts | {"valkey": site.cpu()["valkey"]}

    async def prepare(number: int) -> Plan:
        fresh = devices(f"{name}-{number}", count)

        async def settled() -> None:
            async def empty() -> bool:
                return not await site.running.store.command("ZCARD", PEER_QUEUE)

            await eventually(empty, timeout=60)
            worker.pause()

        async def verify(_: Result) -> None:
            await site.check_holds(fresh)

        requests = [wire.registration(device) for device in fresh]
        return Plan(requests=requests, status=202, begin=worker.resume, settled=settled, verify=verify)

    return Case(name, Endpoint(peer.port, cpu), prepare)


def unchanged(site: Site, pool: Pool, name: str, count: int, *, first_use: bool) -> Case:
    """Registrations that change nothing, as at every start of an app.

    With ``first_use`` no token is sent twice, so that nothing remembered of it helps.
    """

    async def prepare(number: int) -> Plan:
        def token(n: int) -> str:
            index = n % len(pool.devices)
            return wire.bearer(pool.devices[index].identity, jti=f"{number}-{n}") if first_use else pool.tokens[index]

        requests = [wire.registration(pool.devices[n % len(pool.devices)], token(n)) for n in range(count)]

        async def verify(result: Result) -> None:
            for n, body in result.sample:
                answer = msgspec.json.decode(body)
                assert answer["address"] == pool.devices[n % len(pool.devices)].address
                assert answer["state"] == "applied"
            await site.check_holds(pool.devices)

        return Plan(requests=requests, status=200, verify=verify)

    return Case(name, endpoint(site), prepare)


def takeover(site: Site, name: str, count: int) -> Case:
    """Devices that another identity held until now."""

    async def prepare(number: int) -> Plan:
        former = devices(f"{name}-{number}", count)
        await fill(site.service, iter(former), settle=True)
        latter = [msgspec.structs.replace(device, identity=f"{device.identity}-2") for device in former]

        async def verify(_: Result) -> None:
            await site.check_holds(latter)
            await site.check_empty([device.identity for device in former])

        requests = [wire.registration(device) for device in latter]
        return Plan(requests=requests, status=202, settled=site.settled, verify=verify)

    return Case(name, endpoint(site), prepare)


def logout(site: Site, name: str, count: int) -> Case:
    """A server logs devices out."""

    async def prepare(number: int) -> Plan:
        leaving = devices(f"{name}-{number}", count)
        await fill(site.service, iter(leaving), settle=True)

        async def verify(result: Result) -> None:
            assert all(msgspec.json.decode(body) == {"ended": 1} for _, body in result.sample)
            await site.check_empty([device.identity for device in leaving])

        requests = [wire.logout(device) for device in leaving]
        return Plan(requests=requests, status=200, settled=site.settled, verify=verify)

    return Case(name, endpoint(site), prepare)


def lookup_one(site: Site, pool: Pool, name: str, count: int) -> Case:
    """One identity with three bindings."""
    identities = [device.identity for device in pool.several[::PER_IDENTITY]]

    async def prepare(_: int) -> Plan:
        async def verify(result: Result) -> None:
            for n, body in result.sample:
                at = n % len(identities) * PER_IDENTITY
                found = {binding["address"] for binding in msgspec.json.decode(body)["bindings"]}
                assert found == {device.address for device in pool.several[at : at + PER_IDENTITY]}

        requests = [wire.lookup(identities[n % len(identities)]) for n in range(count)]
        return Plan(requests=requests, status=200, verify=verify)

    return Case(name, endpoint(site), prepare)


def lookup_many(site: Site, pool: Pool, name: str, count: int) -> Case:
    """A hundred identities with one binding each."""

    def some(n: int) -> list[Device]:
        start = n * AT_ONCE % len(pool.devices)
        return (pool.devices + pool.devices * AT_ONCE)[start : start + AT_ONCE]

    async def prepare(_: int) -> Plan:
        async def verify(result: Result) -> None:
            for n, body in result.sample:
                answer = msgspec.json.decode(body)["identities"]
                found = [[binding["address"] for binding in each["bindings"]] for each in answer]
                assert found == [[device.address] for device in some(n)]

        requests = [wire.lookups([device.identity for device in some(n)]) for n in range(count)]
        return Plan(requests=requests, status=200, verify=verify)

    return Case(name, endpoint(site), prepare)


def notify_create(site: Site, name: str, count: int) -> Case:
    """Notify bindings that have never been seen."""

    async def prepare(number: int) -> Plan:
        fresh = devices(f"{name}-{number}", count)

        async def verify(_: Result) -> None:
            await site.check_holds(fresh)

        return Plan(requests=[wire.notify_create(device) for device in fresh], status=201, verify=verify)

    return Case(name, endpoint(site), prepare)


def notify_fetch(site: Site, pool: Pool, name: str, count: int) -> Case:
    """One Notify binding by its SID."""

    async def prepare(_: int) -> Plan:
        async def verify(result: Result) -> None:
            for n, body in result.sample:
                assert msgspec.json.decode(body)["address"] == pool.devices[n % len(pool.devices)].address

        return Plan(
            requests=[wire.notify_fetch(pool.sids[n % len(pool.sids)]) for n in range(count)],
            status=200,
            verify=verify,
        )

    return Case(name, endpoint(site), prepare)


def notify_list(site: Site, pool: Pool, name: str, count: int) -> Case:
    """The Notify bindings of an identity with three."""
    identities = [device.identity for device in pool.several[::PER_IDENTITY]]

    async def prepare(_: int) -> Plan:
        async def verify(result: Result) -> None:
            for n, body in result.sample:
                at = n % len(identities) * PER_IDENTITY
                found = {binding["address"] for binding in msgspec.json.decode(body)["bindings"]}
                assert found == {device.address for device in pool.several[at : at + PER_IDENTITY]}

        requests = [wire.notify_list(identities[n % len(identities)]) for n in range(count)]
        return Plan(requests=requests, status=200, verify=verify)

    return Case(name, endpoint(site), prepare)


def stateless(name: str, target: Endpoint, count: int, status: int) -> Case:
    """Registrations to a peer that keeps nothing: the floor."""

    async def prepare(number: int) -> Plan:
        fresh = devices(f"{name}-{number}", count)
        return Plan(requests=[wire.registration(d) for d in fresh], status=status, verify=nothing)

    return Case(name, target, prepare)
