"""The disk of `bindery up` full: its metrics are files there that are mapped into memory."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.up.conftest import PATIENCE, Up
from tests.servers.valkey import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("nothing can be mounted here: that takes root, and a system that lets it")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path: Path) -> None:
    """Leave no room, not for a byte."""
    with path.open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(b"x" * 4096)


def test_what_reads_is_served_while_the_disk_is_full(disk: Path) -> None:
    """Whatever is counted for the first time; and who is killed meanwhile comes back."""
    up = Up(disk / "data", BINDERY_METRICS_PORT="0")
    try:
        url = up.url()
        fill(disk / "filler")
        with httpx.Client(base_url=url, timeout=PATIENCE) as client:
            for method in ("GET", "HEAD", "PUT", "DELETE"):
                for path in ("/version", "/livez", "/readyz", "/nowhere", "/v1/identities/alice/bindings"):
                    assert client.request(method, path).status_code in {200, 401, 404, 405}
        killed = {kind: pid for kind, pid in up.children().items() if kind != "valkey"}
        for pid in killed.values():
            os.kill(pid, signal.SIGKILL)
        wait_until(
            lambda: all(up.children().get(kind, pid) != pid for kind, pid in killed.items()), "all run again", PATIENCE
        )
        with httpx.Client(base_url=url, timeout=PATIENCE) as client:
            assert client.get("/version").status_code == 200
    finally:
        (disk / "filler").unlink(missing_ok=True)
        status = up.stop()
    assert status == 0
    said = "".join(up.rest())
    assert said.count("starting it again") == 2
    assert "SIGBUS" not in said
