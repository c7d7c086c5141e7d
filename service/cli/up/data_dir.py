"""The data directory of `bindery up`: private, and used by one supervisor at a time."""

import fcntl
import os
import time
from pathlib import Path

_LAST_WORDS = 30.0
"""Seconds that the children of a supervisor that was killed have to end, and to let go of lock and sockets."""


class InUseError(Exception):
    """Another `bindery up` runs on the same data."""


def claim(path: Path) -> int:
    """Make `path` (mode 0700) and lock it; the lock lasts as long as the returned descriptor, in any process.

    Every child inherits the descriptor: what a left-over Valkey still writes stays locked, and so does a left-over API
    that still listens.

    Raises:
        InUseError: it is locked.
        OSError: it cannot be made or written.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    fd = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _LAST_WORDS
    while not _locked(fd):
        owner = os.pread(fd, 20, 0).strip()
        name = owner.decode() or "unknown"
        if owner.isdigit() and _alive(int(owner)):
            os.close(fd)
            raise InUseError(f"another bindery (process {name}) runs on {path}")
        if time.monotonic() > deadline:
            os.close(fd)
            raise InUseError(f"what another bindery (process {name}) has left is still ending on {path}")
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
