"""`bindery import` from an upstream: all three kinds of bindings, page by page, once each."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from service.backends.twilio import OutcomeUnknown
from service.bootstrap import runtime
from service.cli import main
from service.domain.archive import encode_line
from service.domain.record import Channel
from service.settings import load
from service.store.adoptions import Adoptions
from service.store.archives import Restored
from service.store.places import Place
from service.usecases import notify_bindings
from service.usecases.ending import log_out
from service.usecases.looking_up import look_up
from service.usecases.moving.exporting import export
from service.usecases.moving.importing import _name, _Reached, import_bindings
from service.usecases.moving.restoring import restore
from tests.e2e.compatible.deployment import ACCOUNT, SERVICE, TOKEN, bind_chat_of, settings_of
from tests.integration.upstream.foreign import Foreign
from tests.integration.upstream.pair import Pair, environment
from tests.servers.fault_proxy import Fault, FaultProxy, Kind
from tests.servers.valkey import ValkeyServer

pytestmark = pytest.mark.usefixtures("quick_backoff")


@pytest.fixture(autouse=True)
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ten bindings, and a moment between tries."""
    monkeypatch.setattr("service.backends.twilio.notify.LONGEST_PAGE", 10)
    monkeypatch.setattr("service.backends.twilio.chat._VERSIONS", {"chat": ("v2", 10), "conversations": ("v1", 10)})
    monkeypatch.setattr("service.usecases.moving.importing._FIRST_PAUSE", 0.02)


@pytest.fixture
async def short(valkey: ValkeyServer, proxy: FaultProxy, upstream_url: str) -> AsyncIterator[Pair]:
    """Both, wired after pages were made short."""
    valkey.call("FLUSHALL")
    async with runtime(load(environment(valkey.url, proxy.url))) as running:
        yield Pair(running, proxy, upstream_url)


async def run(valkey: ValkeyServer, proxy: FaultProxy, directory: Path, *words: str) -> Result:
    """A command, beside this process's work."""
    environ = {**environment(valkey.url, proxy.url), "BINDERY_DATA_DIR": str(directory)}
    return await asyncio.to_thread(CliRunner().invoke, main, words, env=environ)


async def fill_there(pair: Pair, count: int, **more: str) -> dict[str, str]:
    """So many bindings that somebody makes at the upstream past us, by address their SIDs."""
    sids = {}
    async with httpx.AsyncClient(base_url=pair.there, auth=(ACCOUNT, TOKEN)) as client:
        for n in range(count):
            form = {"Identity": f"user-{n}", "BindingType": "fcm", "Address": f"token-{n}", **more}
            answer = await client.post(f"/v1/Services/{SERVICE}/Bindings", data=form)
            sids[f"token-{n}"] = answer.raise_for_status().json()["sid"]
    return sids


async def test_what_is_there_is_known_here(
    short: Pair, valkey: ValkeyServer, proxy: FaultProxy, tmp_path: Path
) -> None:
    """Under the SIDs that it has there; nothing is sent there; a second time changes nothing; no difference is left."""
    sids = await fill_there(short, 25, Tag="theirs")
    dry = await run(valkey, proxy, tmp_path, "import", "--dry-run")
    assert (dry.exit_code, dry.stdout) == (0, "       25  new\n"), dry.output
    assert await short.maybe("token-0") is None
    posts = short.posts()
    done = await run(valkey, proxy, tmp_path, "import")
    assert (done.exit_code, done.stdout) == (0, "       25  new\n"), done.output
    assert (await run(valkey, proxy, tmp_path, "import")).stdout == "       25  here already\n"
    await short.converge()
    assert short.posts() == posts
    for address, sid in sids.items():
        fetched = await notify_bindings.fetch(short.service, sid)
        assert fetched is not None
        assert (fetched.address, fetched.tags) == (address, ("theirs",))
    assert [len(views) for _, views in await look_up(short.service, ["user-3"])] == [1]
    assert (await run(valkey, proxy, tmp_path, "diff")).stdout == ""
    assert "token-1" not in done.output


async def test_what_is_newer_here_stays(short: Pair, valkey: ValkeyServer, proxy: FaultProxy, tmp_path: Path) -> None:
    """A registration for somebody else, and a logout: the upstream's is replaced, or deleted there."""
    await short.create_there("alice", "token-1")
    await short.create_there("bob", "token-2")
    await short.bind("carol", "token-1", "phone")
    await log_out(short.service, "bob")
    done = await run(valkey, proxy, tmp_path, "import")
    assert done.exit_code == 0, done.output
    await short.converge()
    assert await short.owners() == {"token-1": "carol"}
    assert (await run(valkey, proxy, tmp_path, "diff")).stdout == ""


class Killed(Exception):
    """The process ends here."""


async def test_it_goes_on_at_the_page_where_it_ended(short: Pair) -> None:
    """Not from the start: each page is asked for once."""
    await fill_there(short, 35)
    short.proxy.seen.clear()

    def dies(bindings: int) -> None:
        if bindings == 20:
            raise Killed

    with pytest.raises(Killed):
        await import_bindings(short.service, short.upstream, told=dies)
    # It died before it could note the second page: that one comes again.
    counts = await import_bindings(short.service, short.upstream)
    assert counts == {"adopted": 25, "same": 10}
    assert len(short.proxy.seen) == 5


async def test_a_place_that_the_upstream_has_forgotten(short: Pair) -> None:
    """Then it starts over."""
    await short.create_there("alice", "token-1")
    place = Place(short.service.section, _name(short.upstream, dry_run=False), _Reached)
    await place.set(_Reached("PageToken=gone", 10, {"adopted": 10}))
    assert await import_bindings(short.service, short.upstream) == {"adopted": 1}


async def test_faults_are_gone_over(short: Pair) -> None:
    """Throttled, broken, silent: asked again, and nothing is counted twice."""
    await fill_there(short, 15)
    short.proxy.script("GET", Fault(Kind.REFUSAL, status=503), Fault(Kind.RESET_REQUEST), None, Fault(Kind.HALF_BODY))
    assert await import_bindings(short.service, short.upstream) == {"adopted": 15}


async def test_a_page_whose_lists_are_all_too_old_is_not_passed_over(
    short: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends there, as when the upstream does not answer; run again, it goes on at that page."""
    await fill_there(short, 15)
    monkeypatch.setattr("service.usecases.moving.importing._TRIES", 3)
    begin = Adoptions.begin

    async def began_long_ago(self: Adoptions) -> int:
        return await begin(self) - 61_000

    def slow_from_here(bindings: int) -> None:
        if bindings == 10:
            monkeypatch.setattr(Adoptions, "begin", began_long_ago)

    with pytest.raises(OutcomeUnknown):
        await import_bindings(short.service, short.upstream, told=slow_from_here)
    monkeypatch.setattr(Adoptions, "begin", begin)
    assert await import_bindings(short.service, short.upstream) == {"adopted": 15}


async def test_a_wrong_secret_ends_it(valkey: ValkeyServer, proxy: FaultProxy, tmp_path: Path) -> None:
    """At once, with the upstream's word."""
    valkey.call("FLUSHALL")
    environ = {
        **environment(valkey.url, proxy.url),
        "BINDERY_UPSTREAM_SECRET": "wrong",
        "BINDERY_DATA_DIR": str(tmp_path),
    }
    done = await asyncio.to_thread(CliRunner().invoke, main, ["import"], env=environ)
    assert done.exit_code == 1
    assert "401" in done.stderr


@pytest.fixture(params=["chat", "conversations"])
async def chat(
    request: pytest.FixtureRequest, valkey: ValkeyServer, proxy: FaultProxy, upstream_url: str
) -> AsyncIterator[Pair]:
    """Chat bindings at the upstream, through either API; Notify here."""
    valkey.call("FLUSHALL")
    environ = {
        **environment(valkey.url, proxy.url),
        "BINDERY_CHAT_UPSTREAM_URL": f"{proxy.url}/conversations" if request.param == "conversations" else proxy.url,
        "BINDERY_CHAT_UPSTREAM_API": request.param,
    }
    del environ["BINDERY_NOTIFY_UPSTREAM_URL"], environ["BINDERY_NOTIFY_UPSTREAM_SID"]
    async with runtime(load(environ)) as running:
        yield Pair(running, proxy, upstream_url)


async def test_chat_bindings_are_known_too(chat: Pair, environ_there: dict[str, str]) -> None:
    """Under their SIDs, without a registration, until an app makes one; an archive holds them."""
    sids = await bind_chat_of(settings_of(environ_there), "alice", [f"endpoint-{n}" for n in range(12)])
    upstream = chat.service.chat_upstream
    assert upstream is not None
    assert await import_bindings(chat.service, upstream) == {"adopted": 12}
    [noted] = await chat.service.reading.chat_bindings_of([chat.service.fingerprints.owner("alice")])
    assert {str(record.visible_sid(Channel.CHAT)) for record in noted or ()} == set(sids)
    assert await import_bindings(chat.service, upstream) == {"same": 12}
    lines = b"".join([encode_line(line) + b"\n" async for some in export(chat.service) for line in some])
    assert lines.count(b'"line":"chat"') == 12
    chat.running.store.timeout = 5
    await chat.running.store.command("FLUSHALL")
    assert (await restore(chat.service, io.BytesIO(lines)))[Restored.NEW] == 12
    assert b"".join([encode_line(line) + b"\n" async for some in export(chat.service) for line in some]) == lines


async def test_an_archive_in_front_of_an_upstream(short: Pair, valkey: ValkeyServer) -> None:
    """A store that was lost is read back: a list shows that all of it is there, and nothing is sent."""
    for n in range(30):
        await short.bind(f"user-{n}", f"token-{n}", f"device-{n}")
    await short.converge()
    lines = b"".join([encode_line(line) + b"\n" async for some in export(short.service) for line in some])
    posts, there = short.posts(), await short.owners()
    valkey.call("FLUSHALL")
    assert await restore(short.service, io.BytesIO(lines)) == {Restored.NEW: 30}
    assert (await short.record("token-1")).doubt
    assert [len(views) for _, views in await look_up(short.service, ["user-1"])] == [1]
    await short.converge()
    assert b"".join([encode_line(line) + b"\n" async for some in export(short.service) for line in some]) == lines
    assert (short.posts(), await short.owners()) == (posts, there)


async def test_an_archive_of_ours_in_front_of_an_upstream(short: Pair, valkey: ValkeyServer) -> None:
    """What was kept here is sent there."""
    for n in range(5):
        await short.bind(f"user-{n}", f"token-{n}", f"device-{n}")
    lines = b"".join([encode_line(line) + b"\n" async for some in export(short.service) for line in some])
    valkey.call("FLUSHALL")
    applied = lines.replace(b'"applied":false', b'"applied":true')
    assert await restore(short.service, io.BytesIO(applied)) == {Restored.NEW: 5}
    await short.converge()
    assert await short.owners() == {f"token-{n}": f"user-{n}" for n in range(5)}


async def test_what_cannot_be_kept_here_is_told_and_holds_up_a_cut_over(
    foreign: Foreign, valkey: ValkeyServer, tmp_path: Path
) -> None:
    """A type that is not known here, or no address: not lost unless it is accepted (`--force`)."""
    sids = {foreign.put_notify("alice", "token", kind="wns"), foreign.put_notify("alice", "")}
    foreign.put_notify("alice", "token")
    valkey.call("FLUSHALL")
    environ = {**environment(valkey.url, foreign.url), "BINDERY_DATA_DIR": str(tmp_path)}

    async def said(*words: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, main, words, env=environ)

    done = await said("import")
    told = "        1  new\n        2  not taken: not of a kind that is known here\n"
    assert (done.exit_code, done.stdout) == (1, told), done.output
    done = await said("diff", "--json")
    assert done.exit_code == 1
    assert {(line["what"], line["binding_sid"]) for line in json.loads(done.stdout)} == {
        ("unknown here", sid) for sid in sids
    }
    cutover = "cutover", "default", "--settle", "0"
    assert (await said(*cutover)).exit_code == 1
    assert (await said(*cutover, "--force")).exit_code == 0
