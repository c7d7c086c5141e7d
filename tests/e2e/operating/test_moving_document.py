"""The commands of docs/moving.md, as they stand there, against a second Bindery as the upstream."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from tests.e2e.compatible.api_process import api_process
from tests.e2e.compatible.deployment import ACCOUNT, CHAT, SERVICE, TOKEN, bind_chat_of, settings_of
from tests.e2e.compatible.deployment import environment as environment_there
from tests.integration.workers.bench import environment
from tests.servers.valkey import ValkeyServer

DOCUMENT = Path(__file__).parents[3] / "docs" / "moving.md"
SECONDS = 240


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[str]:
    """What stands in for Twilio, with bindings of both kinds."""
    (tmp_path / "upstream").mkdir()
    with ValkeyServer() as store:
        environ = environment_there(store.url, tmp_path / "upstream")
        with api_process(environ, tmp_path / "upstream") as url:
            with httpx.Client(base_url=url, auth=(ACCOUNT, TOKEN)) as client:
                for n in range(30):
                    form = {"Identity": f"user-{n}", "BindingType": "fcm", "Address": f"token-{n}"}
                    client.post(f"/v1/Services/{SERVICE}/Bindings", data=form).raise_for_status()
            asyncio.run(bind_chat_of(settings_of(environ), "alice", ["endpoint-1", "endpoint-2"]))
            yield url


def free_port() -> int:
    """A port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def script(upstream: str, port: int, other_store: str) -> str:
    """All blocks of commands in turn, with the addresses of this machine."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    found = "".join(blocks)
    for written, here in {
        "https://notify.twilio.com": upstream,
        "https://chat.twilio.com": upstream,
        "IS00000000000000000000000000000001": SERVICE,
        "IS00000000000000000000000000000002": CHAT,
        "SK00000000000000000000000000000001": ACCOUNT,
        "the-secret-of-that-key": f"'{TOKEN}'",
        "127.0.0.1:8080": f"127.0.0.1:{port}",
        "redis://127.0.0.1:6380/0": other_store,
    }.items():
        assert written in found, written
        found = found.replace(written, here)
    return found


@pytest.mark.slow
def test_a_team_moves(upstream: str, tmp_path: Path) -> None:
    """From bindings at the upstream to the same ones in a second store of our own, under their SIDs."""
    port, said = free_port(), tmp_path / "said"
    with ValkeyServer() as store, ValkeyServer() as other, httpx.Client(auth=(ACCOUNT, TOKEN)) as client:
        bare = {name: value for name, value in os.environ.items() if not name.startswith("BINDERY_")}
        environ = {
            **bare,
            **environment(store.url),
            "BINDERY_QUEUE_URL": "",
            "BINDERY_PORT": str(port),
            "BINDERY_DATA_DIR": str(tmp_path / "data"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        before = client.get(f"{upstream}/v1/Services/{SERVICE}/Bindings?PageSize=1000").json()["bindings"]
        with (
            said.open("wb") as output,
            subprocess.Popen(
                ["sh", "-eu", "-c", script(upstream, port, other.url)],
                cwd=tmp_path,
                env=environ,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ) as process,
        ):
            try:
                status = process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                # What it has started, and did not end.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        assert status == 0, said.read_text()
    lines = [msgspec.json.decode(line) for line in (tmp_path / "again.ndjson").read_bytes().splitlines()]
    assert {line["sid"] for line in lines if line["line"] == "registration"} == {b["sid"] for b in before}
    assert len([line for line in lines if line["line"] == "chat"]) == 2
