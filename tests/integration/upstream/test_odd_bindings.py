"""A binding whose fields are null, at an upstream that is no Bindery, holds up nobody else's."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.bootstrap import runtime
from service.cli import main
from service.settings import load
from service.usecases.upstream.walking import chat_walk_step, walk_step
from tests.integration.upstream.foreign import Foreign, chat_alone
from tests.integration.upstream.pair import environment
from tests.servers.valkey import ValkeyServer

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


@pytest.mark.parametrize("date", ["soon", "Thu, 01 Jan 2026 00:00:00 +0000", 0])
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
