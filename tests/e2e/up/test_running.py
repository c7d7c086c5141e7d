"""`bindery up`, the real thing: what a newcomer reads, and what runs beside it."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import redis

from service.cli import socket_path
from tests.e2e.up.conftest import PATIENCE, Up, shell


def test_the_printed_commands_work_as_printed_in_order(shared_up: Up) -> None:
    """Register, look up, log out: copied from the terminal into a shell, each does what it says."""
    registered, looked_up, logged_out = map(shell, shared_up.commands())
    assert json.loads(registered)["state"] == "applied"
    assert "alices-phone" in looked_up
    assert "1" in logged_out


def test_the_printed_python_works_as_printed(shared_up: Up) -> None:
    """The five lines run against the local server with the official SDK."""
    text = "".join(shared_up.printed)
    lines = text[text.index("from twilio") :]
    assert len(lines.strip().splitlines()) == 5
    done = subprocess.run([sys.executable, "-c", lines], check=True, capture_output=True, text=True, timeout=PATIENCE)
    sid, bindings = done.stdout.splitlines()
    assert sid.startswith("BS")
    assert "alice" in bindings


def test_token_and_check_work_beside_it(shared_up: Up) -> None:
    """Typed beside a running instance they take its credentials and its store."""
    bindery = [sys.executable, "-m", "service.cli"]
    token = subprocess.run(
        [*bindery, "token", "--identity", "alice"],
        env=shared_up.environ,
        check=True,
        capture_output=True,
        timeout=PATIENCE,
    )
    assert token.stdout.count(b".") == 2
    check = subprocess.run(
        [*bindery, "check"], env=shared_up.environ, check=False, capture_output=True, timeout=PATIENCE
    )
    assert (check.returncode, b"FAULT" in check.stdout) == (0, False)


def test_credentials_are_the_owners_alone(shared_up: Up) -> None:
    """Directory 0700, file 0600."""
    assert shared_up.data_dir.stat().st_mode & 0o777 == 0o700
    assert (shared_up.data_dir / "credentials.env").stat().st_mode & 0o777 == 0o600


def test_the_embedded_server_keeps_what_it_has_answered(shared_up: Up) -> None:
    """By its own account each write is on the disk before its answer, and none is thrown out to make room."""
    path = str(socket_path.choose(shared_up.data_dir))
    with redis.Redis(unix_socket_path=path, socket_timeout=PATIENCE, decode_responses=True) as client:
        said = client.config_get("appendfsync", "maxmemory-policy")
    assert said == {"appendfsync": "always", "maxmemory-policy": "noeviction"}


def test_a_second_instance_on_the_same_data_is_one_clear_line(shared_up: Up) -> None:
    """It exits with status 1 and leaves the first one alone."""
    with Up(shared_up.data_dir) as second:
        assert second.process.wait(PATIENCE) == 1
        second.line(rf"^Error: another bindery \(process {shared_up.process.pid}\) runs on {shared_up.data_dir}$")
    assert shared_up.process.poll() is None


def test_a_busy_port_is_one_clear_line(tmp_path: Path) -> None:
    """Nothing is started, and the line says which setting to change."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Up(tmp_path / "data", BINDERY_PORT=str(port)) as second:
            assert second.process.wait(PATIENCE) == 1
            second.line(rf"^Error: cannot listen on 127\.0\.0\.1 port {port}: .*BINDERY_PORT sets another$")
