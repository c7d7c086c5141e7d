"""A PostgreSQL of its own where the machine has one; SQLite otherwise."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.benchmarks.processes import Program
from tests.servers.valkey import wait_until

_PATHS = os.pathsep.join([os.environ.get("PATH", ""), *map(str, Path("/usr/lib/postgresql").glob("*/bin"))])


class Database(msgspec.Struct, frozen=True):
    """How the peer finds its database, and what CPU time it has taken."""

    name: str
    environ: dict[str, str]
    cpu_seconds: Callable[[], float]


@contextmanager
def postgres(folder: Path) -> Iterator[Database]:
    """PostgreSQL with its defaults (it syncs every commit), listening on a unix socket alone; or SQLite."""
    server, initdb = shutil.which("postgres", path=_PATHS), shutil.which("initdb", path=_PATHS)
    directory = Path(tempfile.mkdtemp(prefix="peer-"))
    try:
        if server is None or initdb is None:
            yield Database("SQLite", {"PEER_SQLITE": str(directory / "db")}, lambda: 0.0)
            return
        user = _user(directory)
        data = directory / "data"
        subprocess.run(
            [initdb, "-D", str(data), "-U", "peer", "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True, capture_output=True, user=user, cwd=directory,
        )  # fmt: skip
        argv = [server, "-D", str(data), "-k", str(directory), "-c", "listen_addresses="]
        with Program(argv, folder / "postgres.log", user=user, cwd=directory) as program:
            ready = [shutil.which("pg_isready", path=_PATHS) or "pg_isready", "-q", "-h", str(directory)]
            wait_until(lambda: subprocess.run(ready, check=False).returncode == 0, "PostgreSQL answers")
            yield Database("PostgreSQL", {"PEER_POSTGRES": str(directory)}, program.cpu_seconds)
            program.stop(signal.SIGINT)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _user(directory: Path) -> str | None:
    """PostgreSQL refuses to run as root: somebody else, then, who owns its directory."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = "postgres" if "postgres" in names else "nobody"
    shutil.chown(directory, user)
    return user
