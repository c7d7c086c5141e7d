"""What `bindery check` says of a server: whatever would lose registrations is a fault, with how to mend it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.bootstrap import runtime
from service.cli import main
from service.cli.server_check import Finding, examine
from service.redis import connect
from service.settings import load
from service.store.section import Section
from tests.integration.workers.bench import environment
from tests.servers.cluster import ValkeyCluster
from tests.servers.valkey import ValkeyServer


@pytest.fixture(scope="module")
def own() -> Iterator[ValkeyServer]:
    """A server of these tests' own."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture
def server(own: ValkeyServer) -> Iterator[ValkeyServer]:
    """It, empty and set up as it should be, also afterwards."""
    own.call("FLUSHALL")
    yield own
    own.call("CONFIG", "SET", "maxmemory-policy", "noeviction", "appendonly", "yes")


def graded(url: str, grade: str, *, durable: bool = True) -> list[str]:
    """The findings of a grade."""
    return [finding.line for finding in examine(url, 1.0, durable=durable) if finding.grade == grade]


def test_a_good_server_is_well(server: ValkeyServer) -> None:
    """Its version, and nothing else."""
    assert [finding.grade for finding in examine(server.url, 1.0, durable=True)] == [Finding.OK]


def test_eviction_and_no_file_are_faults_of_a_store(server: ValkeyServer) -> None:
    """Each with the command that mends it; of a queue, eviction is worth a note, and a file is not needed."""
    server.call("CONFIG", "SET", "maxmemory-policy", "volatile-ttl", "appendonly", "no")
    evicts = "maxmemory-policy is volatile-ttl: CONFIG SET maxmemory-policy noeviction"
    forgets = "appendonly is no, a restart loses registrations: CONFIG SET appendonly yes"
    assert graded(server.url, Finding.FAULT) == [evicts, forgets]
    assert graded(server.url, Finding.NOTE, durable=False) == [evicts]


@pytest.mark.parametrize("password", ["pa#ss", "pa[ss", "p%40ss", "p@ss"])
def test_a_password_is_read_as_those_who_serve_read_it(password: str) -> None:
    """Whatever of it is not percent-encoded; nothing of it is told."""
    with ValkeyServer("--requirepass", password.replace("%40", "@"), tcp=True) as server:
        found = list(examine(f"redis://:{password}@127.0.0.1:{server.port}", 1.0, durable=True))
    assert [finding.grade for finding in found] == [Finding.OK]


def test_every_primary_of_a_cluster_is_asked() -> None:
    """One that evicts is named."""
    with ValkeyCluster() as cluster:
        last = cluster.nodes[-1]
        last.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        [line] = graded(cluster.url, Finding.FAULT)
        assert line.startswith(f"127.0.0.1:{last.port}: maxmemory-policy is allkeys-lru")
        assert len(graded(cluster.url, Finding.OK)) == 3


def test_a_managed_server_tells_enough(server: ValkeyServer) -> None:
    """Without CONFIG eviction is a fault all the same, and the want of a file something to see to."""
    server.call("ACL", "SETUSER", "managed", "on", ">secret", "~*", "&*", "+@all", "-config")
    server.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru", "appendonly", "no")
    url = f"unix://managed:secret@{server.socket}"
    assert [line.partition(":")[0] for line in graded(url, Finding.FAULT)] == ["maxmemory-policy is allkeys-lru"]
    notes = graded(url, Finding.NOTE)
    assert notes[0].startswith("does not let its configuration be read")
    assert notes[1].startswith("keeps no append-only file: unless its provider keeps a log of its own")


async def test_a_login_that_may_not_ask_may_open(server: ValkeyServer) -> None:
    """Where INFO is forbidden nobody can tell whether the store evicts: that is left to whoever forbids it."""
    server.call("ACL", "SETUSER", "narrow", "on", ">secret", "~*", "&*", "+@all", "-info")
    narrow = connect(f"unix://narrow:secret@{server.socket}")
    try:
        await Section(narrow, "IS" + "1" * 32, b"k" * 32).open()
    finally:
        await narrow.aclose()


async def begin(server: ValkeyServer) -> None:
    """Open the store, as every process does."""
    async with runtime(load(environment(server.url))) as running:
        await running.open_store()


def check(server: ValkeyServer, directory: Path, **more: str) -> Result:
    """The whole command."""
    environ = {**environment(server.url), "BINDERY_DATA_DIR": str(directory), **more}
    return CliRunner().invoke(main, ["check"], env=environ)


def test_a_login_that_may_not_have_our_keys_is_a_fault(server: ValkeyServer, tmp_path: Path) -> None:
    """The server is well, and nothing could be served from it; one that is away is told once."""
    server.call("ACL", "SETUSER", "stranger", "reset", "on", ">secret", "~elsewhere:*", "+@all")
    url = server.url.replace("unix://", "unix://stranger:secret@")
    done = check(server, tmp_path, BINDERY_REDIS_URL=url)
    assert done.exit_code == 1
    assert "FAULT  store: The store answered with an error (NOPERM)" in done.output
    away = check(server, tmp_path, BINDERY_REDIS_URL="redis://127.0.0.1:1")
    assert away.output.count("FAULT") == 1


def test_another_key_is_a_fault(server: ValkeyServer, tmp_path: Path) -> None:
    """Before a release is rolled out with it; an empty store is anybody's, and stays empty."""
    assert check(server, tmp_path).exit_code == 0
    assert server.call("DBSIZE") == 0
    asyncio.run(begin(server))
    assert check(server, tmp_path).exit_code == 0
    done = check(server, tmp_path, BINDERY_SECRET_KEY="another key, of 32 bytes or more")
    assert done.exit_code == 1
    assert "FAULT  store: The store was written under another BINDERY_SECRET_KEY: start with that one" in done.output
