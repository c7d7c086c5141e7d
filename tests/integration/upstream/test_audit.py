"""What happens at the upstream past us is noticed by the audit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from service.bootstrap import runtime
from service.domain.events import EventType, Reason, decode_event
from service.domain.record import State
from service.settings import load
from service.usecases.ending import log_out
from service.usecases.looking_up import look_up
from service.usecases.upstream.auditing import audit_step
from tests.integration.upstream.pair import Pair, environment, next_second
from tests.integration.workers.bench import Bench
from tests.servers.fault_proxy import Fault, FaultProxy, Kind
from tests.servers.valkey import ValkeyServer

TOKEN = "fcm-token-of-a-device"


async def audited(pair: Pair) -> int | None:
    """A step, as if the last one were long ago."""
    anchor = pair.service.section.anchor
    await pair.running.store.command("DEL", anchor + b":audit:turn", key=anchor)
    return await audit_step(pair.service, pair.upstream)


async def test_what_is_as_known_is_left_alone(pair: Pair) -> None:
    """One list for many identities, and one step at a time for all processes."""
    for n in range(30):
        await pair.bind(f"user-{n}", f"token-{n}")
    await pair.converge()
    pair.proxy.seen.clear()
    assert await audited(pair) == 0
    assert [seen.method for seen in pair.proxy.seen] == ["GET"]
    assert await audit_step(pair.service, pair.upstream) is None
    assert await pair.depth() == 0


async def test_an_address_that_vanished_is_taken_for_dead(pair: Pair) -> None:
    """By default it is the provider's word: the registration goes, and an event says why."""
    await pair.bind("alice", TOKEN, "phone")
    await pair.converge()
    [binding] = await pair.bindings()
    await pair.delete_there(binding["sid"])
    assert await audited(pair) == 1
    assert await pair.maybe(TOKEN) is None
    assert [len(found) for _, found in await look_up(pair.service, ["alice"])] == [0]
    anchor = pair.service.section.anchor
    entries: Any = await pair.running.store.command("XRANGE", anchor + b":e", "-", "+", key=anchor)
    events = [decode_event(entry_id, fields) for entry_id, fields in entries]
    assert (EventType.REMOVED, Reason.VANISHED) in [(event.type, event.reason) for event in events]
    await pair.converge()
    assert await pair.owners() == {}


async def test_what_was_registered_again_since_it_was_applied_is_made_again_once(pair: Pair) -> None:
    """The provider may have said before that it is dead; what it says after that counts."""
    await pair.bind("alice", TOKEN, "phone")
    await pair.converge()
    await next_second(pair)
    await pair.bind("alice", TOKEN, "phone")
    [binding] = await pair.bindings()
    await pair.delete_there(binding["sid"])
    assert await audited(pair) == 1
    assert [len(found) for _, found in await look_up(pair.service, ["alice"])] == [1]
    await pair.converge()
    [binding] = await pair.bindings()
    await pair.delete_there(binding["sid"])
    assert await audited(pair) == 1
    assert await pair.maybe(TOKEN) is None


async def test_what_a_late_delete_of_ours_took_along_is_made_again(pair: Pair) -> None:
    """It lands when nothing was to come any more, after the device has logged in again and has kept its binding."""
    await pair.bind("alice", TOKEN, "phone")
    await pair.converge()
    pair.proxy.script("DELETE", Fault(Kind.LATE))
    await log_out(pair.service, "alice", device_id="phone")
    await pair.drain_until_deleted(1)
    await pair.bind("alice", TOKEN, "phone")
    await pair.time_passes()
    await pair.converge()
    [kept] = await pair.bindings()
    await pair.proxy.release()
    assert (pair.posts(), await pair.owners()) == (1, {})
    assert await audited(pair) == 1
    assert [len(found) for _, found in await look_up(pair.service, ["alice"])] == [1]
    await pair.converge()
    [binding] = await pair.bindings()
    assert (binding["identity"], binding["sid"] == kept["sid"]) == ("alice", False)


async def test_what_a_late_create_of_ours_replaced_is_made_again(pair: Pair) -> None:
    """It lands when nothing was to come any more, after somebody else has taken the address over."""
    pair.proxy.script("POST", Fault(Kind.LATE))
    await pair.bind("alice", TOKEN, "phone")
    await pair.drain_until_posted(1)
    await pair.bind("bob", TOKEN, "phone")
    await pair.converge()
    await pair.proxy.release()
    assert await pair.owners() == {TOKEN: "alice"}
    assert await audited(pair) == 1
    await pair.converge()
    assert await pair.owners() == {TOKEN: "bob"}
    assert (await pair.record(TOKEN)).notify == State.APPLIED


async def test_what_vanishes_again_is_taken_for_dead(pair: Pair) -> None:
    """A late call of ours lands once; after that it is the provider's word."""
    pair.proxy.script("POST", Fault(Kind.LOST_ANSWER))
    await pair.bind("alice", TOKEN, "phone")
    for _ in range(2):
        await pair.converge()
        assert await pair.maybe(TOKEN) is not None
        [binding] = await pair.bindings()
        await pair.delete_there(binding["sid"])
        assert await audited(pair) == 1
    assert await pair.maybe(TOKEN) is None


async def test_a_doubt_counts_for_ten_minutes(pair: Pair) -> None:
    """What vanishes later has not gone by a call of ours."""
    pair.proxy.script("POST", Fault(Kind.LOST_ANSWER))
    await pair.bind("alice", TOKEN, "phone")
    await pair.converge()
    anchor = pair.service.section.anchor
    doubted = anchor + b":v" + pair.service.fingerprints.address(TOKEN)
    left: Any = await pair.running.store.command("PTTL", doubted, key=anchor)
    assert 500_000 < left <= 600_000
    await pair.running.store.command("DEL", doubted, key=anchor)
    [binding] = await pair.bindings()
    await pair.delete_there(binding["sid"])
    assert await audited(pair) == 1
    assert await pair.maybe(TOKEN) is None


@pytest.fixture
async def recreating(valkey: ValkeyServer, proxy: FaultProxy, upstream_url: str) -> AsyncIterator[Pair]:
    """A Service that makes again what has vanished."""
    valkey.call("FLUSHALL")
    environ = environment(valkey.url, proxy.url, BINDERY_UPSTREAM_VANISHED="recreate")
    async with runtime(load(environ)) as running:
        yield Pair(running, proxy, upstream_url)


async def test_or_it_is_made_again(recreating: Pair) -> None:
    """By the Service's policy; visible all the time."""
    await recreating.bind("alice", TOKEN, "phone")
    await recreating.converge()
    [binding] = await recreating.bindings()
    await recreating.delete_there(binding["sid"])
    assert await audited(recreating) == 1
    assert [len(found) for _, found in await look_up(recreating.service, ["alice"])] == [1]
    await recreating.converge()
    assert await recreating.owners() == {TOKEN: "alice"}
    assert (await recreating.record(TOKEN)).notify == State.APPLIED


async def test_what_was_changed_past_us_is_put_right(pair: Pair) -> None:
    """Other tags, by somebody's own create: what was registered here counts."""
    await pair.bind("alice", TOKEN, "phone", tags=("ours",))
    await pair.converge()
    await pair.create_there("alice", TOKEN, Tag="theirs")
    assert await audited(pair) == 1
    await pair.converge()
    [binding] = await pair.bindings()
    assert binding["tags"] == ["ours"]


async def test_what_is_under_way_is_none_of_its_business(pair: Pair) -> None:
    """A registration that is owed, or has changed since it was read, is left to the workers."""
    await pair.bind("alice", TOKEN, "phone")
    await pair.converge()
    [binding] = await pair.bindings()
    await pair.delete_there(binding["sid"])
    await pair.bind("alice", TOKEN, "phone", tags=("new",))
    assert await audited(pair) == 0
    await pair.converge()
    assert await pair.owners() == {TOKEN: "alice"}


async def test_a_dead_upstream_proves_nothing(pair: Pair) -> None:
    """While it cannot be listed nothing is taken for dead."""
    await pair.bind("alice", TOKEN, "phone")
    await pair.converge()
    await pair.proxy.down()
    with pytest.raises(Exception, match="no connection"):
        await audited(pair)
    assert await pair.applied([TOKEN])


async def test_what_was_kept_here_before_is_sent_there(valkey: ValkeyServer, pair: Pair) -> None:
    """An upstream that is configured for a Service with registrations gets them from the audit."""
    alone = {k: v for k, v in environment(valkey.url, pair.proxy.url).items() if "UPSTREAM" not in k}
    async with runtime(load(alone)) as running:
        before = Bench(running)
        await before.login("alice", TOKEN, "phone")
        await before.drain_all()
    assert (await pair.record(TOKEN)).layout == 1
    assert await audited(pair) == 1
    await pair.converge()
    assert await pair.owners() == {TOKEN: "alice"}
    assert pair.posts() == 1
