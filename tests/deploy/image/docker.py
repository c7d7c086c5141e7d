"""A Docker engine in a machine of its own, for as long as a test needs one."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.deploy.image.machine import FOLDER, Machine, machine

_ARCHIVE, _ROOT, _LOG = "/var/tmp/images.tar", "/var/lib/docker", "/var/log/dockerd.log"  # noqa: S108  # the machine's own
_START_SECONDS = 30


@contextmanager
def engine(built: Machine, *images: str) -> Iterator[Machine]:
    """A machine whose `docker` has these images, which podman has in another; it reaches nothing outside of it."""
    inside = FOLDER / "machine"
    # Whatever an engine left that was ended with its machine.
    shutil.rmtree(inside / _ROOT.lstrip("/"), ignore_errors=True)
    archive = inside / _ARCHIVE.lstrip("/")
    archive.unlink(missing_ok=True)
    built.run("podman", "save", "--quiet", "--multi-image-archive", "--output", _ARCHIVE, *images)
    with machine(network=False) as running:
        daemon = running.start("dockerd", "--data-root", _ROOT, log=_LOG)
        try:
            end = time.monotonic() + _START_SECONDS
            while running.run("docker", "info", check=False).returncode != 0:
                assert time.monotonic() < end, (inside / _LOG.lstrip("/")).read_text()[-3000:]
                time.sleep(0.1)
            running.run("docker", "load", "--quiet", "--input", _ARCHIVE)
            archive.unlink()
            yield running
        finally:
            daemon.terminate()
            daemon.wait(60)
            shutil.rmtree(inside / _ROOT.lstrip("/"), ignore_errors=True)
