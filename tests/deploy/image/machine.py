"""A Debian of our own in a folder, in which buildah builds, podman plays and Docker composes: nothing is left behind.

`debootstrap` makes it, as root; it lies under `.containers/` and is made once. Its processes have their own mounts,
process ids and, but while something is built, their own network: when the holder of these is ended, so are they all.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.deploy.chart.helm import ROOT

FOLDER = ROOT / ".containers"
SUITE = "trixie"
_BASE, _MACHINE = FOLDER / "base", FOLDER / "machine"
_PACKAGES = (
    "buildah",
    "podman",
    "runc",
    "netavark",
    "aardvark-dns",
    "catatonit",
    "iproute2",
    "nftables",
    "docker.io",
    "docker-cli",
    "docker-compose",
)
_ENVIRON = {"PATH": "/usr/sbin:/usr/bin", "HOME": "/root", "PODMAN_IGNORE_CGROUPSV1_WARNING": "1"}
_NEEDED = ("debootstrap", "unshare", "nsenter", "pivot_root")
_MAKE_SECONDS, _RUN_SECONDS, _START_SECONDS = 900, 600, 15

_ENTER = f"""
set -e
mount --bind {_MACHINE} {_MACHINE}
cd {_MACHINE}
for folder in proc sys dev; do mount --rbind /$folder $folder; done
mount -t tmpfs tmpfs dev/shm
mkdir -p project base old
mount --bind {ROOT} project
mount --bind {_BASE} base
mount -t tmpfs tmpfs run
pivot_root . old
umount -l old
ip link set lo up
exec sleep infinity
"""


class Unavailable(Exception):
    """Containers cannot be run here; the text says why and what to do."""


class Machine:
    """Where commands of buildah and podman run; `project` is its /project."""

    def __init__(self, holder: int) -> None:
        self._holder = holder

    def run(
        self, *command: str, timeout: float = _RUN_SECONDS, check: bool = True, given: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in it, `given` on its standard input; asserts that it succeeds, if told to `check`."""
        enter = ["nsenter", "--target", str(self._holder), "--mount", "--pid", "--net", "--root", "--wd"]
        done = subprocess.run(
            [*enter, "--", *command],
            env=_ENVIRON,
            input=given,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check:
            assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
        return done

    def start(self, *command: str, log: str) -> subprocess.Popen[bytes]:
        """Start a command in it, which ends with it at the latest; what it prints goes to a file of its own."""
        enter = ["nsenter", "--target", str(self._holder), "--mount", "--pid", "--net", "--root", "--wd"]
        with (_MACHINE / log.lstrip("/")).open("wb") as said:
            return subprocess.Popen([*enter, "--", *command], env=_ENVIRON, stdout=said, stderr=said)


def make() -> None:
    """Make the machine, if it is not there.

    Raises:
        Unavailable: this is not root's Linux, or programs are missing.
    """
    if os.name != "posix" or os.geteuid() != 0:
        raise Unavailable("containers are built and run by root alone: sudo make slow")
    missing = [name for name in _NEEDED if shutil.which(name) is None]
    if missing:
        raise Unavailable(f"{', '.join(missing)} missing: apt-get install debootstrap util-linux")
    FOLDER.mkdir(exist_ok=True)
    if not _done(_BASE).exists():
        _anew(_BASE)
        _step("debootstrap", "--variant=minbase", "--include=ca-certificates", SUITE, str(_BASE))
        _done(_BASE).touch()
    packages = "\n".join(_PACKAGES)
    if not _done(_MACHINE).exists() or _done(_MACHINE).read_text() != packages:
        _anew(_MACHINE)
        _step("cp", "--archive", str(_BASE), str(_MACHINE))
        _step("chroot", str(_MACHINE), "apt-get", "update", "--quiet=2")
        # In here no package may start a service: it would be one of this machine's.
        _executable(_MACHINE / "usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n")
        install = ("apt-get", "install", "--yes", "--quiet=2", "--no-install-recommends", *_PACKAGES)
        _step("env", "DEBIAN_FRONTEND=noninteractive", "chroot", str(_MACHINE), *install)
        _configure()
        _done(_MACHINE).write_text(packages)


@contextlib.contextmanager
def machine(*, network: bool) -> Iterator[Machine]:
    """The machine, for as long as the context lasts; with the network of this one, or with one of its own."""
    make()
    spaces = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *([] if network else ["--net"])]
    command = ["unshare", *spaces, "--propagation", "private", "sh", "-c", _ENTER]
    log = FOLDER / "holder.log"
    with log.open("w") as said:
        holder = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    try:
        yield Machine(_inside(holder, log))
    finally:
        holder.kill()
        holder.wait()


def _inside(holder: subprocess.Popen[bytes], log: Path) -> int:
    """The process id of the holder's child, once it has become its `sleep`."""
    children = Path(f"/proc/{holder.pid}/task/{holder.pid}/children")
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and holder.poll() is None:
        found = children.read_text().split()
        if found and Path(f"/proc/{found[0]}/comm").read_text().strip() == "sleep":
            return int(found[0])
        time.sleep(0.02)
    raise AssertionError(f"the machine did not start: {log.read_text()}")


def _configure() -> None:
    # Limits above those of this machine could not be set.
    limits = {
        name: resource.getrlimit(number)[1]
        for name, number in {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}.items()
    }
    ulimits = ", ".join(f'"{name}={hard}:{hard}"' for name, hard in limits.items() if hard != resource.RLIM_INFINITY)
    (_MACHINE / "etc/containers/containers.conf").write_text(
        f"[containers]\ndefault_ulimits = [{ulimits}]\n"
        '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
    )


def _executable(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _done(folder: Path) -> Path:
    return folder.with_suffix(".made")


def _anew(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _step(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, timeout=_MAKE_SECONDS, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(words)}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
