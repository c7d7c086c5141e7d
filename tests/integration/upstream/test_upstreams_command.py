"""`bindery upstreams` over a real store."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.backends.twilio import Admission
from service.cli import main
from service.redis import connect
from service.settings import load
from tests.servers.valkey import ValkeyServer
from tests.unit.settings.test_upstreams import SECRET, USER, WITH_ACCOUNT


@pytest.fixture
def environ(valkey: ValkeyServer, tmp_path: Path) -> dict[str, str]:
    """A Service with two upstreams that share an account, and an empty store."""
    valkey.call("FLUSHALL")
    return {
        **WITH_ACCOUNT,
        "BINDERY_DATA_DIR": str(tmp_path),
        "BINDERY_REDIS_URL": valkey.url,
        "BINDERY_NOTIFY_UPSTREAM_URL": "http://upstream.test",
        "BINDERY_CHAT_UPSTREAM_URL": "http://upstream.test",
    }


def run(environ: dict[str, str], *arguments: str) -> Result:
    """The command."""
    return CliRunner().invoke(main, ["upstreams", *arguments], env=environ)


def fail(environ: dict[str, str]) -> None:
    """Ten calls that failed, in another process."""

    async def calls() -> None:
        settings = load(environ)
        (service,) = settings.services
        redis = connect(settings.redis_url)
        assert service.notify_upstream is not None
        way = Admission(redis, service.notify_upstream)
        for _ in range(10):
            await way.done(False, good=False)
        await redis.aclose()

    asyncio.run(calls())


def test_an_account_is_shown_once_with_all_that_share_it(environ: dict[str, str]) -> None:
    """What it may do, and that all is well; its secret is not shown."""
    done = run(environ)
    assert done.exit_code == 0
    assert f"http://upstream.test as {USER}, for default (notify), default (chat)" in done.output
    assert "breaker closed; calls 0 good, 0 bad; at most 50/s; left alone for 0.0 s" in done.output
    assert SECRET not in done.output + run(environ, "--json").output


def test_an_open_breaker_is_seen_from_outside(environ: dict[str, str]) -> None:
    """By whoever runs the command, and by its exit status."""
    fail(environ)
    done = run(environ, "--json")
    assert done.exit_code == 1
    (line,) = json.loads(done.output)
    assert (line["breaker"], line["bad_calls"]) == ("open", 10)
    assert 0 < line["left_alone_seconds"] <= 1.25


def test_without_upstreams_there_is_nothing_to_show(environ: dict[str, str]) -> None:
    """Embedded Services have none."""
    alone = {name: value for name, value in environ.items() if not name.endswith("_UPSTREAM_URL")}
    done = run({**alone, "BINDERY_NOTIFY_UPSTREAM_URL": "", "BINDERY_CHAT_UPSTREAM_URL": ""})
    assert (done.exit_code, done.output) == (0, "no Service has an upstream\n")
