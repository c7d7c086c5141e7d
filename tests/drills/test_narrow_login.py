"""A login without administration, as managed servers give it, is all that Bindery needs of its store."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
import uvloop
from click.testing import CliRunner

from service.cli import main
from service.domain.jobs import LANES
from service.redis import connect
from tests.faults.client import Connection
from tests.faults.fleet import running
from tests.faults.running import SERVICE, SETTINGS, until
from tests.faults.test_volume import check_all, register_all
from tests.monitoring.prometheus import DEPLOY
from tests.servers.sentinel import ValkeySentinel
from tests.servers.valkey import ValkeyServer

pytestmark = pytest.mark.slow

RULES = ("~*", "&*", "+@all", "-@admin", "-@dangerous", "+info")
"""As the runbook has them."""


def test_a_login_without_administration_suffices(tmp_path: Path) -> None:
    """Registered, applied, looked up; and `bindery check` says what it could not see."""

    async def drill(valkey: ValkeyServer, environ: dict[str, str]) -> None:
        async with running(tmp_path, environ) as fleet:
            connections: list[Connection] = [fleet.connection() for _ in range(4)]
            await register_all(connections, range(200))
            ledgers = [f"{{{SERVICE}}}:n{lane}" for lane in range(LANES)]
            await until(lambda: not any(valkey.call("EXISTS", ledger) for ledger in ledgers), "nothing is owed")
            await check_all(connections[0], range(200))
            for connection in connections:
                await connection.aclose()

    with ValkeyServer() as valkey:
        valkey.call("ACL", "SETUSER", "bindery", "on", ">secret", *RULES)
        own = {name: value for name, value in os.environ.items() if not name.startswith("BINDERY_")}
        environ = {**own, **SETTINGS, "BINDERY_REDIS_URL": f"unix://bindery:secret@{valkey.socket}"}
        # However busy the machine is: what is refused is refused at once.
        environ["BINDERY_REDIS_TIMEOUT"] = "5"
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(drill(valkey, environ))
        checked = CliRunner().invoke(main, ["check"], env={**environ, "BINDERY_DATA_DIR": str(tmp_path)})
        assert checked.exit_code == 0, checked.output
        assert "note   store: does not let its configuration be read" in checked.output
        denied = valkey.call("ACL", "LOG")
        assert isinstance(denied, list)
        assert {bytes(entry[entry.index(b"object") + 1]) for entry in denied} <= {b"config|get"}


async def test_it_suffices_behind_sentinel() -> None:
    """Whether the server that Sentinel names is the primary is asked of it without administration, too."""
    with ValkeySentinel() as watched:
        for server in watched.servers:
            server.call("ACL", "SETUSER", "bindery", "on", ">secret", *RULES)
        redis = connect(watched.url.replace("://", "://bindery:secret@"), timeout=5)
        await redis.ping()
        await redis.aclose()


def test_the_runbook_has_these_rules() -> None:
    """For whoever sets one up."""
    assert " ".join(RULES) in (DEPLOY.parent / "docs" / "runbook.md").read_text()
