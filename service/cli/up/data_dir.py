"""The data directory of `bindery up`: private, and used by one supervisor at a time."""

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

_LAST_WORDS = 30.0
"""Seconds that the children of a supervisor that was killed have to end, and to let go of lock and sockets."""


class InUseError(Exception):
    """Another `bindery up` runs on the same data."""


def claim(path: Path, say: Callable[[str], None], patience: float = _LAST_WORDS) -> int:
    """Make `path` (mode 0700) and lock it; the lock lasts as long as the returned descriptor, in any process.

    Waits `patience` seconds for what a supervisor that was killed has left, and says so.

    Every child inherits the descriptor: what a left-over Valkey still writes stays locked, and so does a left-over API
    that still listens.

    Raises:
        InUseError: it is locked.
        OSError: it cannot be made or written.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    fd = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline, said = time.monotonic() + patience, False
    while not _locked(fd):
        owner = os.pread(fd, 20, 0).strip()
        name = owner.decode() or "unknown"
        if owner.isdigit() and _alive(int(owner)):
            os.close(fd)
            raise InUseError(f"another bindery (process {name}) runs on {path}")
        if time.monotonic() > deadline:
            os.close(fd)
            raise InUseError(f"what another bindery (process {name}) has left is still ending on {path}")
        if not said:
            say(f"waiting for what another bindery (process {name}) has left to end on {path}")
            said = True
        time.sleep(0.05)
    os.ftruncate(fd, 0)
    os.pwrite(fd, str(os.getpid()).encode(), 0)
    return fd


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
