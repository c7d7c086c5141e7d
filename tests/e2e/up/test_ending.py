"""How `bindery up` ends, by a signal or killed, and what the next one finds."""

import contextlib
import os
import select
import signal
from pathlib import Path

import httpx
import pytest

from tests.e2e.up.conftest import PATIENCE, Up, shell
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
    url = up.url()
    register, look_up, _ = up.commands()
    shell(register)
    children = list(up.children().values())
    up.stop(signal.SIGKILL)
    with Up(data_dir) as again:
        look_up = look_up.replace(url, again.url())
        assert gone(children)
        assert "alices-phone" in shell(look_up)


def test_a_start_waits_for_what_a_killed_supervisor_has_left(data_dir: Path) -> None:
    """An API that ends each connection in its own time still has the ports, which nobody else wants."""
    fixed = {"BINDERY_PORT": str(free_port()), "BINDERY_METRICS_PORT": str(free_port())}
    with Up(data_dir, **fixed, BINDERY_SHUTDOWN_DELAY="1") as up, httpx.Client() as client:
        assert client.get(f"{up.url()}/version").status_code == 200
        up.stop(signal.SIGKILL)
        with Up(data_dir, **fixed) as again:
            again.url()
