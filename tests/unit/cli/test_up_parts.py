import os
import socket
from pathlib import Path

import pytest

from service.cli import local, socket_path
from service.cli.up import data_dir, listener
from service.sockets import bind

_NOBODY = 2**22 + 1
"""No system gives a process so high a number."""


def test_a_socket_lies_with_its_data() -> None:
    """The usual case needs no other directory."""
    assert socket_path.choose(Path("/srv/bindery")) == Path("/srv/bindery/valkey.sock")


def test_a_long_path_gets_a_short_socket_of_its_own() -> None:
    """The answer is the same in every process, differs by data, and fits."""
    one, two = (socket_path.choose(Path("/" + name * 200)) for name in "ab")
    assert one == socket_path.choose(Path("/" + "a" * 200))
    assert one != two
    assert len(os.fsencode(one)) <= 100


def test_a_directory_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    """A short path under the temporary directory could be someone's trap."""
    tmp_path.chmod(0o755)
    with pytest.raises(PermissionError):
        socket_path.prepare(tmp_path / "valkey.sock")


def test_a_link_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    """Nor is a link followed."""
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(PermissionError):
        socket_path.prepare(tmp_path / "link" / "valkey.sock")


def test_data_are_claimed_once(tmp_path: Path) -> None:
    """A living owner is named at once; when the lock is let go, the next may have it."""
    said: list[str] = []
    fd = data_dir.claim(tmp_path, said.append)
    with pytest.raises(data_dir.InUseError, match=f"process {os.getpid()}"):
        data_dir.claim(tmp_path, said.append)
    os.close(fd)
    os.close(data_dir.claim(tmp_path, said.append))
    assert not said


def test_what_a_killed_supervisor_has_left_is_waited_for(tmp_path: Path) -> None:
    """Its children still hold the lock: that is said, and once they let go the next may have it; not so for ever."""
    said: list[str] = []
    left = data_dir.claim(tmp_path, said.append)
    os.pwrite(left, str(_NOBODY).encode(), 0)
    with pytest.raises(data_dir.InUseError, match=f"process {_NOBODY}.* is still ending"):
        data_dir.claim(tmp_path, said.append, patience=-1)
    assert not said

    def end(line: str) -> None:
        said.append(line)
        os.close(left)

    os.close(data_dir.claim(tmp_path, end))
    assert [str(_NOBODY) in line and line.startswith("waiting") for line in said] == [True]


def test_a_loop_of_links_is_no_data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said of the setting."""
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    monkeypatch.setenv("BINDERY_DATA_DIR", str(tmp_path / "a"))
    with pytest.raises(local.SettingsFault, match="BINDERY_DATA_DIR"):
        local.data_dir()


@pytest.mark.parametrize(("bound", "reached"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1")])  # noqa: S104
def test_an_any_address_is_reached_over_the_loopback(bound: str, reached: str) -> None:
    """The printed URL is one that a browser on this machine can open."""
    with bind(bound, 0) as listening:
        host, port = listener.local_address(listening)
        assert (host, port > 0) == (reached, True)
        with socket.create_connection((host, port), timeout=5):
            pass
