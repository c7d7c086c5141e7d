"""The embedded Valkey: its command line, its environment, and when it is ready."""

import asyncio
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

_POLL = 0.02
_PATIENCE = 2.0


def command_line(binary: str, data_dir: Path, socket: Path) -> list[str]:
    """The program and its options: durable, reachable over the socket only, small values packed."""
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(data_dir / "valkey"),
        "logfile": str(data_dir / "valkey.log"),
        "daemonize": "no",
        "save": "",
        "appendonly": "yes",
        # `everysec` was seen to lose thousands of answered writes on a busy disk; `always` costs the API 4 %.
        "appendfsync": "always",
        "aof-load-truncated": "yes",
        "auto-aof-rewrite-percentage": "100",
        "auto-aof-rewrite-min-size": "64mb",
        "maxmemory-policy": "noeviction",
        # A record is longer than the default 64 bytes: packed it takes a quarter less memory.
        "hash-max-listpack-value": "512",
        "hash-max-listpack-entries": "512",
    }
    return [binary, *(word for name, value in options.items() for word in (f"--{name}", value))]


def environment(binary: str, base: Mapping[str, str]) -> dict[str, str]:
    """``base``, with an allocator for the server preloaded where one is installed and ``base`` asks for no other.

    The C library's takes its room for a script's objects from all over the heap: in a store of a million devices a
    registration cost 70 % more than in a small one (docs/adr/0022). A ``LD_PRELOAD`` of one's own, be it empty, stays.
    """
    if "LD_PRELOAD" in base:
        return dict(base)
    try:
        library = str(distribution("cmeel-mimalloc").locate_file("cmeel.prefix/lib/libmimalloc.so"))
    except PackageNotFoundError:  # not on this system
        return dict(base)
    preloaded = {**base, "LD_PRELOAD": library}
    return preloaded if _loads(binary, preloaded) else dict(base)


def _loads(binary: str, environ: Mapping[str, str]) -> bool:
    """Whether the loader takes what is to be preloaded; where it can not, it says so and goes on without."""
    try:
        said = subprocess.run(
            [binary, "--version"], env=environ, capture_output=True, timeout=_PATIENCE, check=True
        ).stderr
    except (OSError, subprocess.SubprocessError):
        return False
    return not said


async def ready(socket: Path) -> None:
    """Return once the server answers PING; while it loads its data it does not. The caller sets the limit."""
    while not await _answers(socket):  # noqa: ASYNC110  # nothing would set an Event
        await asyncio.sleep(_POLL)


async def _answers(socket: Path) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_unix_connection(str(socket))
            try:
                writer.write(b"PING\r\n")
                return await reader.readline() == b"+PONG\r\n"
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
