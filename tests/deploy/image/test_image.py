"""What the image is made of, and how it runs: read-only, as nobody in particular, without a shell."""

from __future__ import annotations

import json
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from service import __version__
from tests.deploy.image.building import IMAGE, Built
from tests.deploy.image.machine import FOLDER, Machine

pytestmark = pytest.mark.slow

LARGEST_MB = 110
"""What the image may take, unpacked."""

#: As a restricted platform runs it.
RUN = (
    *("podman", "run", "--rm", "--read-only", "--read-only-tmpfs=false", "--network", "none", "--user", "10001:10001"),
    *("--cap-drop", "all", "--security-opt", "no-new-privileges"),
)


@pytest.fixture(scope="module")
def members(containers: Machine) -> Iterator[dict[str, tarfile.TarInfo]]:
    """Every file of the image, by its path."""
    archive = FOLDER / "machine" / "var" / "tmp" / "image.tar"
    name = containers.run("podman", "create", IMAGE).stdout.strip()
    containers.run("podman", "export", "--output", "/var/tmp/image.tar", name)  # noqa: S108  # the machine's own
    containers.run("podman", "rm", name)
    with tarfile.open(archive) as found:
        yield {member.name.removeprefix("./"): member for member in found.getmembers()}
    archive.unlink()


def test_it_is_small(image: Built, capsys: pytest.CaptureFixture[str]) -> None:
    """Python, its libraries and Bindery, and little else; how much is shown."""
    megabytes = image.facts["Size"] / 1e6
    with capsys.disabled():
        sys.stdout.write(f"\nimage: {megabytes:.1f} MB, built in {image.seconds:.1f} s\n")
    assert megabytes < LARGEST_MB


def test_what_it_says_of_itself(image: Built) -> None:
    """Labels in OCI's names, a numeric user, a stop signal, one port, the command line as its entry."""
    config = image.facts["Config"]
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}
    assert labels["title"] == "Bindery"
    assert labels["version"] == __version__
    assert len(labels["revision"]) == 40
    assert (config["User"], config["StopSignal"]) == ("10001:10001", "SIGTERM")
    assert (config["Entrypoint"], config["Cmd"]) == (["bindery"], ["api"])
    assert list(config["ExposedPorts"]) == ["8080/tcp", "9464/tcp"]


def test_it_has_no_shell_and_no_package_manager(members: dict[str, tarfile.TarInfo]) -> None:
    """What an intruder would look for first is not there."""
    names = {Path(path).name for path in members if "/bin/" in f"/{path}"}
    assert "python3" in names
    assert not names & {"sh", "bash", "dash", "apt", "apt-get", "dpkg", "pip", "pip3", "perl", "curl", "su", "mount"}
    assert not [path for path in members if "site-packages/pip" in path or "site-packages/setuptools/" in path]


def test_it_has_no_tests_and_no_secrets(members: dict[str, tarfile.TarInfo], image: Built) -> None:
    """Of the project there are the two packages that run, and the build left nothing of its own behind."""
    assert not [path for path in members if path.startswith(("src/", "packages/", "root/", "project/", "run/secrets"))]
    assert not [path for path in members if "/tests/" in path and "bindery" in path]
    assert not [path for path in members if path.endswith((".key", "credentials.env", ".netrc", "pip.conf"))]
    assert not any(name in json.dumps(image.facts["Config"]["Env"]) for name in ("SECRET_KEY", "TOKEN", "REDIS_URL"))


def test_nobody_could_change_it(members: dict[str, tarfile.TarInfo]) -> None:
    """No file has the set-user-ID bit, and none but /tmp may be written by its user."""
    assert not [path for path, member in members.items() if member.mode & 0o6000]
    writable = [p for p, m in members.items() if not m.issym() and (m.mode & 0o002 or m.uid == 10001)]
    assert set(writable) <= {"tmp", "var/tmp", "var/lock"}


def test_scanners_find_its_packages(members: dict[str, tarfile.TarInfo]) -> None:
    """Each package of the system is named where scanners look, and so is each of Python's."""
    system = {Path(path).name for path in members if path.startswith("var/lib/dpkg/status.d/")}
    assert {"libc6", "libssl3t64", "python3.13-minimal"} <= system
    distributions = {Path(path).parent.name for path in members if path.endswith(".dist-info/METADATA")}
    assert {name.split("-")[0] for name in distributions} >= {"bindery", "litestar", "redis", "uvicorn"}


def test_each_command_starts_and_writes_nothing(containers: Machine) -> None:
    """Read-only, without a network, as a numeric user: the command line works, and starts fast enough to be a probe."""
    assert containers.run(*RUN, IMAGE, "--version").stdout == f"bindery, version {__version__}\n"
    settings = containers.run(*RUN, IMAGE, "settings").stdout
    assert "BINDERY_SECRETS_DIR" in settings


@pytest.mark.parametrize("command", ["api", "worker", "check"])
def test_missing_settings_are_named(containers: Machine, command: str) -> None:
    """Every process says what it lacks, all at once, and ends with a status that is not 0."""
    done = containers.run(*RUN, IMAGE, command, check=False)
    assert done.returncode not in {0, 125, 126, 127}
    for name in ("BINDERY_REDIS_URL", "BINDERY_SECRET_KEY", "BINDERY_ACCOUNT_SID", "BINDERY_JWT_SECRET"):
        assert f"{name} must be set" in done.stderr


def test_every_library_loads(containers: Machine) -> None:
    """Each compiled module of the image finds what it is linked with, whatever was stripped or left out.

    So does the allocator of the embedded server, which is no module.
    """
    program = (
        "import ctypes, importlib, pathlib, sys\n"
        "site = next(p for p in sys.path if p.endswith('site-packages'))\n"
        "found = []\n"
        "for path in pathlib.Path(site).rglob('*.so'):\n"
        "    name = '.'.join(path.relative_to(site).with_name(path.name.split('.')[0]).parts)\n"
        "    if 'cmeel.prefix' in path.parts: ctypes.CDLL(str(path)); found.append(path.name); continue\n"
        "    if 'mypyc' in name and name.startswith(tuple('0123456789abcdef')): continue\n"
        "    importlib.import_module(name); found.append(name)\n"
        "import ssl, uuid, bz2, lzma, zlib, hashlib\n"
        "assert ssl.create_default_context().get_ca_certs()\n"
        "print(*found)\n"
    )
    run = [*RUN, "--entrypoint", "/opt/bindery/bin/python", IMAGE, "-c", program]
    loaded = set(containers.run(*run).stdout.split())
    assert {"hiredis.hiredis", "httptools.parser.parser", "libmimalloc.so", "msgspec._core", "uvloop.loop"} <= loaded
