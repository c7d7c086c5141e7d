"""An import beside a call of our own that takes long: what that makes looks newer than what was asked for since."""

from __future__ import annotations

import asyncio

import pytest

from service.usecases.ending import log_out
from service.usecases.looking_up import look_up
from service.usecases.moving.importing import import_bindings
from tests.integration.upstream.pair import Pair, next_second
from tests.servers.fault_proxy import Fault, Kind
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("quick_backoff")


async def test_an_import_brings_back_no_older_tags_by_a_slow_call_of_ours(patient_pair: Pair) -> None:
    """The app changes its tags while a worker's create of the ones before takes a second; an import runs beside."""
    pair = patient_pair
    pair.proxy.script("POST", Fault(Kind.LATE))
    await pair.bind("alice", "token", "phone", tags=("old",))
    work = asyncio.create_task(pair.drain_notify())

    async def sent() -> bool:
        return pair.posts() == 1

    await eventually(sent)
    await pair.bind("alice", "token", "phone", tags=("new",))  # answered 202: the last request
    await next_second(pair)
    await pair.proxy.release()  # now the upstream has the older ones, with a time later than the newer request's
    await import_bindings(pair.service, pair.upstream)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    await pair.time_passes()
    await pair.converge(60)
    record = await pair.record("token")
    there = [b["tags"] for b in await pair.bindings()]
    assert (record.attributes.tags, there) == (("new",), [["new"]])


async def test_an_import_brings_nobody_back_by_a_slow_call_of_ours(patient_pair: Pair) -> None:
    """The device logs out while a worker's create takes a second; an import runs beside (contract 2, 3)."""
    pair = patient_pair
    pair.proxy.script("POST", Fault(Kind.LATE))
    await pair.bind("alice", "token", "phone")
    work = asyncio.create_task(pair.drain_notify())

    async def sent() -> bool:
        return pair.posts() == 1

    await eventually(sent)
    assert await log_out(pair.service, "alice", device_id="phone") == 1
    await next_second(pair)
    await pair.proxy.release()
    await import_bindings(pair.service, pair.upstream)
    shown = [len(views) for _, views in await look_up(pair.service, ["alice"])]
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    await pair.time_passes()
    await pair.converge(60)
    assert (shown, await pair.owners()) == ([0], {})
