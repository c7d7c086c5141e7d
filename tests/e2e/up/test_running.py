"""`bindery up`, the real thing."""

import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.e2e.up.conftest import PATIENCE, Up
from tests.servers.valkey import free_port


def gone(pids: list[int]) -> bool:
    """Whether every process ends in time (a pidfd becomes readable when its process ends)."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            fd = os.pidfd_open(pid)
            ended, _, _ = select.select([fd], [], [], PATIENCE)
            os.close(fd)
            if not ended:
                return False
    return True


def commands(printed: list[str]) -> list[str]:
    """The curl commands of the welcome, as a newcomer copies them."""
    return re.findall(r"^  (curl (?:.*\\\n)*.*)$", "".join(printed), re.MULTILINE)


def test_the_printed_commands_work_as_printed_in_order(up: Up) -> None:
    """Register, look up, log out: copied from the terminal into a shell, each does what it says."""
    up.url()
    answers = []
    for command in commands(up.printed):
        done = subprocess.run(["sh", "-c", command], check=True, capture_output=True, text=True, timeout=PATIENCE)
        answers.append(done.stdout)
    registered, looked_up, logged_out = answers
    assert json.loads(registered)["state"] == "applied"
    assert "alices-phone" in looked_up
    assert "1" in logged_out


def test_the_printed_python_works_as_printed(up: Up) -> None:
    """The five lines run against the local server with the official SDK."""
    up.url()
    text = "".join(up.printed)
    lines = text[text.index("from twilio") :]
    assert len(lines.strip().splitlines()) == 5
    done = subprocess.run([sys.executable, "-c", lines], check=True, capture_output=True, text=True, timeout=PATIENCE)
    sid, bindings = done.stdout.splitlines()
    assert sid.startswith("BS")
    assert "alice" in bindings


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_with_status_0(up: Up, number: int) -> None:
    """Ctrl-C and SIGTERM are the way to stop it, not failures; no child is left."""
    up.url()
    children = up.children()
    assert set(children) == {"valkey", "api", "worker"}
    assert up.stop(number) == 0
    assert gone(list(children.values()))


def test_a_signal_that_comes_twice_is_one(up: Up) -> None:
    """`make` hands on what its whole process group has got: that is no haste, and everything stops in order."""
    up.url()
    up.process.send_signal(signal.SIGTERM)
    up.process.send_signal(signal.SIGINT)
    up.line("worker_stopped")
    assert up.process.wait(PATIENCE) == 0
    assert not any("starting it again" in line for line in up.printed)


def test_no_orphan_is_left_by_a_killed_supervisor(up: Up, data_dir: Path) -> None:
    """SIGKILL of the supervisor takes API, worker and Valkey down; the next start gets the data."""
    up.url()
    children = list(up.children().values())
    up.stop(signal.SIGKILL)
    with Up(data_dir) as again:
        again.url()
        assert gone(children)


def test_a_start_waits_for_what_a_killed_supervisor_has_left(data_dir: Path) -> None:
    """An API that ends each connection in its own time still has the ports, which nobody else wants."""
    fixed = {
        "BINDERY_PORT": str(free_port()),
        "BINDERY_METRICS_PORT": str(free_port()),
        "BINDERY_SHUTDOWN_DELAY": "2",
    }
    with Up(data_dir, **fixed) as up, httpx.Client() as client:
        assert client.get(f"{up.url()}/version").status_code == 200
        up.stop(signal.SIGKILL)
        with Up(data_dir, **fixed) as again:
            again.url()


def test_secrets_in_files_are_the_ones_that_count(data_dir: Path, tmp_path: Path) -> None:
    """Credentials of its own are made for what is left open alone; so it is for commands beside it."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "BINDERY_AUTH_TOKEN").write_text("the token of the file, which is long enough\n")
    with Up(data_dir, BINDERY_SECRETS_DIR=str(tmp_path / "secrets")) as up:
        up.url()
        assert "the token of the file" in "".join(up.printed)
    (tmp_path / "secrets" / "BINDERY_REDIS_URL").write_text("redis://127.0.0.1:1/0")
    bindery = [sys.executable, "-m", "service.cli", "check"]
    done = subprocess.run(bindery, env=up.environ, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1
    assert "fault" in done.stdout.lower() + done.stderr.lower()


def test_a_second_start_keeps_credentials_and_data(up: Up, data_dir: Path) -> None:
    """What was registered before the stop is there after it, under the same account."""
    url = up.url()
    kept = (data_dir / "credentials.env").read_text()
    register, look_up, _ = commands(up.printed)
    subprocess.run(["sh", "-c", register], check=True, capture_output=True, timeout=PATIENCE)
    assert up.stop() == 0
    with Up(data_dir) as again:
        look_up = look_up.replace(url, again.url())
        done = subprocess.run(["sh", "-c", look_up], check=True, capture_output=True, text=True, timeout=PATIENCE)
        assert "alices-phone" in done.stdout
        assert (data_dir / "credentials.env").read_text() == kept


@pytest.mark.parametrize(("kind", "name"), [("api", "api 1"), ("worker", "worker 1"), ("valkey", "valkey")])
def test_a_child_that_dies_is_started_again_visibly(up: Up, kind: str, name: str) -> None:
    """A line names the child, how it ended and the delay; then it serves again."""
    url = up.url()
    before = up.children()[kind]
    os.kill(before, signal.SIGKILL)
    up.line(rf"bindery: {name} was ended by SIGKILL; starting it again in 0\.5 s")
    with httpx.Client(transport=httpx.HTTPTransport(retries=5)) as client:
        while True:
            with contextlib.suppress(httpx.TransportError):
                serves = client.get(f"{url}/readyz").status_code == 200
                if serves and up.children().get(kind, before) != before:
                    break
            assert up.process.poll() is None


def test_a_second_instance_on_the_same_data_is_one_clear_line(up: Up, data_dir: Path) -> None:
    """It exits with status 1 and leaves the first one alone."""
    up.url()
    with Up(data_dir) as second:
        assert second.process.wait(PATIENCE) == 1
        second.line(rf"^Error: another bindery \(process {up.process.pid}\) runs on {data_dir}$")
    assert up.process.poll() is None


def test_a_busy_port_is_one_clear_line(tmp_path: Path) -> None:
    """Nothing is started, and the line says which setting to change."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Up(tmp_path / "data", BINDERY_PORT=str(port)) as second:
            assert second.process.wait(PATIENCE) == 1
            second.line(rf"^Error: cannot listen on 127\.0\.0\.1 port {port}: .*BINDERY_PORT sets another$")


def test_credentials_are_the_owners_alone(up: Up, data_dir: Path) -> None:
    """Directory 0700, file 0600."""
    up.url()
    assert data_dir.stat().st_mode & 0o777 == 0o700
    assert (data_dir / "credentials.env").stat().st_mode & 0o777 == 0o600


def test_a_data_directory_with_a_long_path_works(tmp_path: Path) -> None:
    """A Unix socket's path is short by nature; the data's need not be."""
    with Up(tmp_path / ("long" * 30)) as running:
        running.url()


def test_a_data_directory_may_be_a_link(tmp_path: Path) -> None:
    """`ln -s /mnt/disk/bindery .bindery`: data that were moved to another disk; it is private there."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with Up(tmp_path / "link") as running:
        running.url()
        assert (tmp_path / "real").stat().st_mode & 0o777 == 0o700


def test_token_and_check_work_beside_it(up: Up) -> None:
    """Typed beside a running instance they take its credentials and its store."""
    up.url()
    bindery = [sys.executable, "-m", "service.cli"]
    token = subprocess.run(
        [*bindery, "token", "--identity", "alice"],
        env=up.environ,
        check=True,
        capture_output=True,
        timeout=PATIENCE,
    )
    assert token.stdout.count(b".") == 2
    check = subprocess.run([*bindery, "check"], env=up.environ, check=False, capture_output=True, timeout=PATIENCE)
    assert (check.returncode, b"FAULT" in check.stdout) == (0, False)
