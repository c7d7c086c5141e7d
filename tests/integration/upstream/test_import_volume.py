"""Many bindings move: an import by a real process that is killed twice, and an archive there and back."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.bootstrap import runtime
from service.domain.addresses import BindingType
from service.settings import load
from service.store.places import Place
from service.usecases.moving.importing import _name, _Reached
from tests.benchmarks.devices import device
from tests.benchmarks.fill import fill
from tests.integration.upstream.pair import Pair, environment
from tests.servers.valkey import ValkeyServer
from tests.waiting import eventually

SECONDS = 300


@pytest.fixture
def volumes(valkey: ValkeyServer, upstream_url: str, tmp_path: Path) -> dict[str, str]:
    """Settings of a Service whose upstream is asked without anything between."""
    valkey.call("FLUSHALL")
    return {
        **environment(valkey.url, upstream_url),
        "BINDERY_UPSTREAM_TIMEOUT": "10",
        "BINDERY_UPSTREAM_LONGEST_REQUEST": "20",
        "BINDERY_DATA_DIR": str(tmp_path),
    }


@pytest.fixture
async def importing(volumes: dict[str, str]) -> AsyncIterator[Pair]:
    """The Service, to look at it."""
    async with runtime(load(volumes)) as running:
        yield Pair(running, None, volumes["BINDERY_NOTIFY_UPSTREAM_URL"])  # type: ignore[arg-type]  # no proxy here


def command(environ: dict[str, str], *words: str) -> subprocess.Popen[str]:
    """`bindery` in a process of its own."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("BINDERY_")}
    return subprocess.Popen(
        [sys.executable, "-m", "service.cli", *words],
        env={**bare, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def done(environ: dict[str, str], *words: str) -> str:
    """What it prints, once it has ended well."""
    with command(environ, *words) as process:
        said, faults = await asyncio.to_thread(process.communicate, timeout=SECONDS)
        assert process.returncode == 0, said + faults
        return said


async def import_killed_twice(environ: dict[str, str], pair: Pair, count: int) -> str:
    """At a third and at two thirds of the way; answers what the third process prints."""
    place = Place(pair.service.section, _name(pair.upstream, dry_run=False), _Reached)
    for part in (count // 3, 2 * count // 3):
        with command(environ, "import") as process:

            async def far(part: int = part) -> bool:
                reached = await place.get()
                return reached is not None and reached.bindings >= part

            await eventually(far, SECONDS)
            process.kill()
            assert await asyncio.to_thread(process.wait, 20) == -9, "it was faster than this test"
    left = await place.get()
    assert left is not None
    assert count // 2 < left.bindings < count
    return await done(environ, "import")


async def moves(environ: dict[str, str], environ_there: dict[str, str], pair: Pair, folder: Path, count: int) -> None:
    """All of it."""
    async with runtime(load(environ_there)) as there:
        some = (device("volume", n, BindingType.FCM if n % 2 else BindingType.APN) for n in range(count))
        await fill(there.directory.default(), some, settle=True)
    said = await import_killed_twice(environ, pair, count)
    assert sum(int(line.split()[0]) for line in said.splitlines()) >= count
    assert await done(environ, "diff") == ""
    assert await pair.depth() == 0
    one, two = folder / "one.ndjson", folder / "two.ndjson"
    with ValkeyServer() as empty:
        plain = {k: v for k, v in environ.items() if "UPSTREAM" not in k}
        await done(plain, "export", str(one))
        await done({**plain, "BINDERY_REDIS_URL": empty.url, "BINDERY_QUEUE_URL": empty.url}, "import", str(one))
        await done({**plain, "BINDERY_REDIS_URL": empty.url, "BINDERY_QUEUE_URL": empty.url}, "export", str(two))
    assert one.read_bytes() == two.read_bytes()
    assert one.read_bytes().count(b"\n") == count + 1


@pytest.mark.slow
async def test_some_thousands(
    volumes: dict[str, str],
    environ_there: dict[str, str],
    importing: Pair,
    store_there: ValkeyServer,
    tmp_path: Path,
) -> None:
    """In small."""
    store_there.call("FLUSHALL")
    await moves(volumes, environ_there, importing, tmp_path, 12_000)


@pytest.mark.proof
async def test_a_hundred_thousand(
    volumes: dict[str, str],
    environ_there: dict[str, str],
    importing: Pair,
    store_there: ValkeyServer,
    tmp_path: Path,
) -> None:
    """Killed twice it resumes, ends with an empty diff, and an archive of it comes back identically."""
    store_there.call("FLUSHALL")
    await moves(volumes, environ_there, importing, tmp_path, 100_000)
