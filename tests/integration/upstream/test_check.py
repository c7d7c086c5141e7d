"""`bindery check` asks the upstreams too."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from service.cli import main
from tests.integration.upstream.pair import environment
from tests.servers.valkey import ValkeyServer


def check(valkey: ValkeyServer, url: str, directory: Path, **more: str) -> Result:
    """The command."""
    valkey.call("FLUSHALL")
    environ = {**environment(valkey.url, url, **more), "BINDERY_DATA_DIR": str(directory)}
    return CliRunner().invoke(main, ["check"], env=environ)


def test_an_upstream_that_lists_is_well(valkey: ValkeyServer, upstream_url: str, tmp_path: Path) -> None:
    """One page of it says that address, Service and credentials are right."""
    done = check(valkey, upstream_url, tmp_path, BINDERY_CHAT_UPSTREAM_URL=upstream_url)
    assert f"ok     upstream of default (notify): {upstream_url} lists bindings" in done.output
    assert f"ok     upstream of default (chat): {upstream_url} lists bindings" in done.output


def test_wrong_credentials_are_a_fault(valkey: ValkeyServer, upstream_url: str, tmp_path: Path) -> None:
    """With what the upstream says, and status 1; the secret is not shown."""
    done = check(valkey, upstream_url, tmp_path, BINDERY_UPSTREAM_SECRET="a wrong secret")
    assert done.exit_code == 1
    assert f"FAULT  upstream of default (notify): {upstream_url}: 401/20003 Authenticate" in done.output
    assert "a wrong secret" not in done.output


def test_an_upstream_that_is_not_there_is_a_fault(valkey: ValkeyServer, tmp_path: Path) -> None:
    """Nobody listens."""
    done = check(valkey, "http://127.0.0.1:9", tmp_path)
    assert done.exit_code == 1
    assert "no connection" in done.output
