"""`bindery check` asks the upstreams too."""

from __future__ import annotations

import socket
from pathlib import Path

from click.testing import CliRunner, Result

from service.bootstrap import runtime
from service.cli import main
from service.settings import load
from service.usecases.upstream.standing import ask_accounts, ask_upstreams
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


async def test_a_store_that_does_not_answer_is_told_apart(upstream_url: str) -> None:
    """It keeps the rate at which the upstream may be asked; the upstream has nothing to do with that."""
    with ValkeyServer() as own:
        async with runtime(load(environment(own.url, upstream_url))) as running:
            own.kill()
            [standing] = await ask_upstreams(running.directory)
    assert standing.fault == "not asked: the store, which keeps its rate, did not answer"


async def test_at_a_start_each_account_is_asked_once(valkey: ValkeyServer, tmp_path: Path) -> None:
    """However many Services share it; `bindery check` asks for each."""
    valkey.call("FLUSHALL")
    names = ("shop", "bank", "club")
    tables = (
        f'[[service]]\nname = "{name}"\nsid = "IS{number:032x}"\n'
        f'[service.notify_upstream]\nurl = "http://127.0.0.1:9"\nuser = "AC{number // 2:032x}"\n'
        for number, name in enumerate(names)
    )
    (tmp_path / "services.toml").write_text("\n".join(tables))
    base = environment(valkey.url, "http://127.0.0.1:9")
    mine = {name: value for name, value in base.items() if "_CHAT_" not in name and "NOTIFY_UPSTREAM" not in name}
    del mine["BINDERY_SERVICE_SID"]
    async with runtime(load({**mine, "BINDERY_SERVICES_FILE": str(tmp_path / "services.toml")})) as running:
        assert [standing.service_name for standing in await ask_accounts(running.directory, 5.0)] == ["shop", "club"]
        assert [standing.service_name for standing in await ask_upstreams(running.directory)] == list(names)


async def test_who_does_not_answer_at_a_start_is_waited_for_no_longer(valkey: ValkeyServer) -> None:
    """A server that accepts and says nothing holds a start up for as long as it is given."""
    valkey.call("FLUSHALL")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with runtime(
            load(environment(valkey.url, url, BINDERY_UPSTREAM_TIMEOUT="5", BINDERY_UPSTREAM_LONGEST_REQUEST="5"))
        ) as running:
            [standing] = await ask_accounts(running.directory, 0.2)
    assert standing.fault is not None
    assert standing.fault.startswith("no answer within 0.2 seconds")
