"""`bindery cutover`: the bindings move into this store under everybody's feet, and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.bootstrap import runtime
from service.cli import main
from service.domain.errors import BackendSwitched
from service.domain.jobs import Lane, Ledger
from service.domain.record import Channel, State
from service.settings import load
from service.store.scripts import script
from service.usecases import chat_bindings, notify_bindings
from service.usecases.ending import log_out
from service.usecases.looking_up import look_up
from service.usecases.moving.importing import import_bindings
from service.usecases.moving.switching import cut_over, undo
from tests.e2e.compatible.deployment import bind_chat_of, settings_of
from tests.integration.upstream.pair import Pair, environment, next_second
from tests.servers.fault_proxy import FaultProxy
from tests.servers.valkey import ValkeyServer

pytestmark = pytest.mark.usefixtures("quick_backoff")

NOTIFY, BOTH = Channel.NOTIFY, Channel.NOTIFY | Channel.CHAT


@pytest.fixture
async def other(pair: Pair, valkey: ValkeyServer, proxy: FaultProxy, upstream_url: str) -> AsyncIterator[Pair]:
    """Another process, which hears of nothing by itself."""
    async with runtime(load(environment(valkey.url, proxy.url))) as running:
        found = Pair(running, pair.proxy, upstream_url)
        await found.service.section.open()
        yield found


async def run(valkey: ValkeyServer, proxy: FaultProxy, directory: Path, *words: str) -> Result:
    """A command, beside this process's work."""
    environ = {**environment(valkey.url, proxy.url), "BINDERY_DATA_DIR": str(directory)}
    return await asyncio.to_thread(CliRunner().invoke, main, words, env=environ)


def knows(pair: Pair) -> bool:
    """Whether this process has heard of a cut-over."""
    return bool(pair.service.section.cut_over)


async def sid_of(pair: Pair, address: str) -> str:
    """The SID that it is shown under."""
    return str((await pair.record(address)).visible_sid(NOTIFY))


async def address_of(pair: Pair, sid: str) -> str | None:
    """What a SID leads to on the compatible routes."""
    found = await notify_bindings.fetch(pair.service, sid)
    return found.address if found else None


async def test_only_without_a_difference(pair: Pair, valkey: ValkeyServer, proxy: FaultProxy, tmp_path: Path) -> None:
    """What differs is printed, and nothing switched; unless it must be."""
    name = pair.service.sid
    await pair.bind("alice", "token-1")
    await pair.converge()
    await pair.create_there("bob", "token-2")
    done = await run(valkey, proxy, tmp_path, "cutover", name)
    assert done.exit_code == 1
    assert done.stdout.startswith("unknown here")
    assert not (await pair.service.switches.look()).cut_over
    assert (await run(valkey, proxy, tmp_path, "cutover", name, "--force")).exit_code == 0
    assert (await pair.service.switches.look()).cut_over
    again = await run(valkey, proxy, tmp_path, "cutover", name)
    assert (again.exit_code, again.stderr) == (0, "Notify bindings were kept here already\n")
    assert "has been cut over" in (await run(valkey, proxy, tmp_path, "diff")).stderr
    assert "has been cut over" in (await run(valkey, proxy, tmp_path, "import")).stderr


async def test_afterwards_the_upstream_hears_nothing(
    pair: Pair, other: Pair, valkey: ValkeyServer, proxy: FaultProxy, tmp_path: Path
) -> None:
    """A process that has not heard of it is told by its first write, which succeeds; SIDs stay until new versions."""
    await pair.bind("alice", "token-1", "phone")
    await pair.bind("bob", "token-2", "tablet")
    await pair.converge()
    sids = {address: await sid_of(pair, address) for address in ("token-1", "token-2")}
    assert (await run(valkey, proxy, tmp_path, "cutover", pair.service.sid)).exit_code == 0
    pair.proxy.seen.clear()
    assert not knows(other)
    await other.bind("carol", "token-3")
    assert knows(other)
    await other.bind("bob", "token-2", "tablet", tags=("new",))
    await other.converge()
    assert pair.proxy.seen == []
    assert (await other.record("token-3")).notify == State.APPLIED
    assert await address_of(other, sids["token-1"]) == "token-1"
    assert await address_of(other, sids["token-2"]) is None
    assert await address_of(other, await sid_of(other, "token-2")) == "token-2"
    assert await notify_bindings.delete(other.service, sids["token-1"])
    assert await other.maybe("token-1") is None


async def test_what_was_under_way_there_is_not_settled_here(pair: Pair, other: Pair) -> None:
    """A worker's lease of before counts no more; what it was about is applied here."""
    await pair.bind("alice", "token-1", "phone")
    lane = Lane(pair.service.sid, Ledger.NOTIFY, pair.service.fingerprints.address("token-1")[2] % 8)
    lease = await pair.upstream.ledger.take(lane, 10, 60_000)
    assert lease is not None
    upstream = pair.upstream
    await cut_over(other.service, NOTIFY, agreed=False)
    with pytest.raises(BackendSwitched):
        await upstream.ledger.settle(lane, lease, [])
    assert pair.service.notify_upstream is None
    await other.converge()
    assert (await other.record("token-1")).notify == State.APPLIED
    assert other.posts() == 0


async def test_a_takeover_under_way_leaves_the_former_owners_sid_behind(pair: Pair) -> None:
    """By force, while the upstream is away: nothing of it is left, and nobody's SID leads to another's."""
    await pair.bind("alice", "token-1", "phone")
    await pair.bind("alice", "token-2", "tablet")
    await pair.converge()
    sid = await sid_of(pair, "token-1")
    await pair.proxy.down()
    await pair.bind("bob", "token-1", "phone")
    await log_out(pair.service, "alice", device_id="tablet")
    await pair.drain_notify()
    await cut_over(pair.service, NOTIFY, agreed=False)
    await pair.converge()
    record = await pair.record("token-1")
    assert (record.notify, record.doubt, record.traces) == (State.APPLIED, 0, [])
    assert await address_of(pair, sid) is None
    assert await pair.maybe("token-2") is None


async def test_it_can_be_undone(
    pair: Pair, other: Pair, valkey: ValkeyServer, proxy: FaultProxy, tmp_path: Path
) -> None:
    """All that has changed since reaches the upstream: logins, logouts, takeovers, rotations, tags; nothing besides."""
    for n in range(5):
        await pair.bind(f"user-{n}", f"token-{n}", f"device-{n}")
    await pair.converge()
    name = pair.service.sid
    assert (await run(valkey, proxy, tmp_path, "cutover", name)).exit_code == 0
    await pair.bind("new", "token-new")
    await log_out(pair.service, "user-0")
    await pair.bind("taker", "token-1", "device-1")
    await pair.bind("user-2", "token-rotated", "device-2")
    await pair.bind("user-3", "token-3", "device-3", tags=("x",))
    await pair.converge()
    await pair.no_call_is_under_way()
    await next_second(pair)
    await pair.create_there("stranger", "token-past-us")
    assert (await run(valkey, proxy, tmp_path, "cutover", name, "--undo")).exit_code == 0
    await other.converge()
    assert await other.owners() == {
        "token-1": "taker",
        "token-rotated": "user-2",
        "token-3": "user-3",
        "token-4": "user-4",
        "token-new": "new",
        "token-past-us": "stranger",
    }
    done = await run(valkey, proxy, tmp_path, "diff")
    assert [line.split("  ")[0] for line in done.stdout.splitlines()] == ["unknown here"]
    again = await run(valkey, proxy, tmp_path, "cutover", name, "--undo")
    assert "has not been cut over" in again.stderr


async def test_an_undo_that_ended_early_is_gone_on_with(pair: Pair) -> None:
    """It is remembered that it is not done."""
    await pair.bind("alice", "token-1")
    await pair.converge()
    await cut_over(pair.service, NOTIFY, agreed=True)
    await pair.bind("bob", "token-2")
    await pair.converge()
    await pair.no_call_is_under_way()
    await pair.proxy.down()
    with pytest.raises(Exception, match="connection"):
        await undo(pair.service, NOTIFY)
    assert (await pair.service.switches.look()).taken_back
    await pair.proxy.up()
    await undo(pair.service, NOTIFY)
    assert not (await pair.service.switches.look()).taken_back
    await pair.converge()
    assert await pair.owners() == {"token-1": "alice", "token-2": "bob"}


async def test_chat_sids_stay(both: Pair, environ_there: dict[str, str]) -> None:
    """Those that SDKs have made for registrations, and those without one; undone, what has gone here goes there."""
    endpoints = ["e-phone", "e-tablet", "e-web"]
    there = dict(zip(endpoints, await bind_chat_of(settings_of(environ_there), "alice", endpoints), strict=True))
    await both.bind("alice", "t-phone", "phone", channels=BOTH, endpoint="e-phone")
    await both.bind("alice", "t-tablet", "tablet", channels=BOTH, endpoint="e-tablet")
    upstream = both.service.chat_upstream
    assert upstream is not None
    assert (await import_bindings(both.service, upstream))["adopted"] >= 1
    await both.converge()
    await cut_over(both.service, BOTH, agreed=True)
    both.proxy.seen.clear()
    for endpoint, sid in there.items():
        found = await chat_bindings.fetch(both.service, sid)
        assert found is not None
        assert found.endpoint == endpoint
    [(_, views)] = await look_up(both.service, ["alice"])
    assert {view.bindings.chat for view in views} == {there["e-phone"], there["e-tablet"]}
    await log_out(both.service, "alice", device_id="phone")
    await both.converge()
    assert await chat_bindings.fetch(both.service, there["e-phone"]) is None
    assert both.proxy.seen == []
    await both.no_call_is_under_way()
    await undo(both.service, BOTH)
    await both.converge()
    assert len(both.proxy.reached("DELETE")) >= 1
    left = [await upstream.bindings.fetch(sid) for sid in there.values()]
    assert [binding.endpoint if binding else None for binding in left] == [None, "e-tablet", "e-web"]


async def test_notify_alone(both: Pair, environ_there: dict[str, str]) -> None:
    """Chat stays where apps' SDKs make it: what logs out is deleted there, and SIDs are looked up there."""
    phone, tablet = await bind_chat_of(settings_of(environ_there), "alice", ["e-phone", "e-tablet"])
    await both.bind("alice", "t-phone", "phone", channels=BOTH, endpoint="e-phone")
    await both.bind("alice", "t-tablet", "tablet", channels=BOTH, endpoint="e-tablet")
    await both.converge()
    upstream = both.service.chat_upstream
    assert upstream is not None
    await cut_over(both.service, NOTIFY, agreed=True)
    posts = both.posts()
    await both.bind("bob", "t-new")
    await log_out(both.service, "alice", device_id="phone")
    await both.converge()
    assert (both.posts(), (await both.record("t-new")).notify) == (posts, State.APPLIED)
    assert await both.maybe("t-phone") is None
    assert await upstream.bindings.fetch(phone) is None
    found = await chat_bindings.fetch(both.service, tablet)
    assert found is not None
    await both.no_call_is_under_way()
    await undo(both.service, NOTIFY)
    await both.converge()
    assert await both.owners() == {"t-tablet": "alice", "t-new": "bob"}


def test_without_an_upstream_nothing_is_asked_about_it() -> None:
    """Scripts of Services that have none are as they were written."""
    assert b"BACKEND" not in script("register").source
