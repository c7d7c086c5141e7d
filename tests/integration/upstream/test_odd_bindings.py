"""A binding whose fields are null, at an upstream that is no Bindery, holds up nobody else's."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from service.bootstrap import runtime
from service.cli import main
from service.settings import load
from service.usecases.ending import log_out
from service.usecases.upstream.walking import chat_walk_step, walk_step
from tests.integration.upstream.foreign import NOTIFY_PATH, Foreign, chat_alone, served
from tests.integration.upstream.pair import environment
from tests.servers.valkey import ValkeyServer

SID = f"BS{1:032x}"

pytestmark = pytest.mark.usefixtures("quick_backoff")


async def said(environ: dict[str, str], *words: str) -> Result:
    """What a command says."""
    return await asyncio.to_thread(CliRunner().invoke, main, words, env=environ)


@pytest.mark.parametrize("field", ["address", "identity", "binding_type"])
async def test_of_notify(foreign: Foreign, valkey: ValkeyServer, tmp_path: Path, field: str) -> None:
    """It is told of like others that cannot be kept here; the audit's walk gets to its end."""
    sid = foreign.put_notify("bob", "odd")
    foreign.notify[0][field] = None
    foreign.put_notify("alice", "token")
    valkey.call("FLUSHALL")
    environ = {**environment(valkey.url, foreign.url), "BINDERY_DATA_DIR": str(tmp_path)}
    async with runtime(load(environ)) as running:
        service = running.directory.default()
        assert service.notify_upstream is not None
        assert await walk_step(service, service.notify_upstream) == 1
    done = await said(environ, "import")
    told = "        1  here already\n        1  not taken: not of a kind that is known here\n"
    assert (done.exit_code, done.stdout) == (1, told), done.output
    done = await said(environ, "diff", "--json")
    [line] = json.loads(done.stdout)
    assert (line["binding_sid"], line["detail"]) == (sid, "not of a kind that is known here")


@pytest.mark.parametrize("field", ["endpoint", "identity", "binding_type"])
async def test_of_chat(foreign: Foreign, valkey: ValkeyServer, tmp_path: Path, field: str) -> None:
    """Likewise."""
    foreign.put_chat("bob", "odd")
    foreign.chat[0][field] = None
    foreign.put_chat("alice", "endpoint")
    valkey.call("FLUSHALL")
    environ = {**chat_alone(valkey.url, foreign.url), "BINDERY_DATA_DIR": str(tmp_path)}
    async with runtime(load(environ)) as running:
        service = running.directory.default()
        assert service.chat_upstream is not None
        assert await chat_walk_step(service, service.chat_upstream) == 0
    done = await said(environ, "import")
    assert "        1  new\n" in done.stdout, done.output


@pytest.mark.parametrize("date", ["soon", "Thu, 01 Jan 2026 00:00:00 +0000", "0001-01-01T00:00:00", 0])
async def test_a_date_that_cannot_be_read_is_none(
    foreign: Foreign, valkey: ValkeyServer, tmp_path: Path, date: object
) -> None:
    """The binding is taken for one from long ago, and taken over like others."""
    foreign.put_notify("alice", "token")
    foreign.put_chat("alice", "endpoint")
    foreign.notify[0]["date_updated"] = foreign.chat[0]["date_created"] = date
    valkey.call("FLUSHALL")
    environ = {**environment(valkey.url, foreign.url), "BINDERY_CHAT_UPSTREAM_URL": foreign.url}
    done = await said({**environ, "BINDERY_DATA_DIR": str(tmp_path)}, "import")
    assert (done.exit_code, done.stdout) == (0, "        2  new\n"), done.output


async def test_a_create_is_confirmed_whatever_its_dates(valkey: ValkeyServer) -> None:
    """Its SID is what counts."""

    async def created(_: web.Request) -> web.Response:
        binding = {
            "sid": SID,
            "identity": "alice",
            "binding_type": "fcm",
            "address": "token",
            "date_created": "just now",
        }
        return web.json_response(binding, status=201)

    app = web.Application()
    app.router.add_post(NOTIFY_PATH, created)
    valkey.call("FLUSHALL")
    async with served(app) as url, runtime(load(environment(valkey.url, url))) as running:
        upstream = running.directory.default().notify_upstream
        assert upstream is not None
        found = await upstream.bindings.create(identity="alice", binding_type="fcm", address="token")
    assert (found.sid, found.date_created) == (SID, None)


async def test_what_is_no_sid_is_not_deleted(foreign: Foreign, valkey: ValkeyServer, tmp_path: Path) -> None:
    """It would be another path of the upstream's."""
    foreign.put_chat("bob", "endpoint")
    foreign.chat[0]["sid"] = "?"
    valkey.call("FLUSHALL")
    environ = {**chat_alone(valkey.url, foreign.url), "BINDERY_DATA_DIR": str(tmp_path)}
    async with runtime(load(environ)) as running:
        await log_out(running.directory.default(), "bob")
    done = await said(environ, "reconcile", "--identity", "bob")
    assert (done.exit_code, done.stdout.split()[:2]) == (0, ["delete", "?"]), done.output
    assert foreign.deleted == []
