"""The image, built as an operator would, on a base that debootstrap has made."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec

from service import __version__
from tests.deploy.chart.helm import ROOT
from tests.deploy.image.machine import FOLDER, Machine

BASE, IMAGE = "localhost/debian:trixie", "localhost/bindery:test"
VALKEY, PROMETHEUS = "localhost/valkey:8.1", "localhost/prometheus:test"
_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_BUILD_SECONDS = 900


class Built(msgspec.Struct, frozen=True):
    """The image: what is said of it, and how long the build took (seconds)."""

    facts: dict[str, Any]
    seconds: float


def build(machine: Machine) -> Built:
    """Build the image, and the stand-ins for Valkey's and Prometheus's."""
    if machine.run("podman", "image", "exists", BASE, check=False).returncode != 0:
        machine.run("sh", "-c", f"tar --create --directory /base . | podman import --quiet - {BASE}")
    secret = []
    if _AUTHORITIES.exists():
        # Behind a proxy the base does not know the authority that this machine trusts.
        shutil.copy(_AUTHORITIES, FOLDER / "machine/etc/authorities.pem")
        secret = ["--secret", "id=ca,src=/etc/authorities.pem"]
    bud = ["buildah", "bud", "--quiet", "--isolation", "chroot", "--layers", "--build-arg", f"BASE={BASE}"]
    arguments = {"VERSION": __version__, "REVISION": _revision(), "CREATED": "2026-01-01T00:00:00Z"}
    given = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
    began = time.monotonic()
    recipe = ["--file", "/project/deploy/Dockerfile", "--tag", IMAGE, "/project"]
    machine.run(*bud, *given, *secret, *recipe, timeout=_BUILD_SECONDS)
    seconds = time.monotonic() - began
    for name, tag in {"valkey": VALKEY, "prometheus": PROMETHEUS}.items():
        folder = "/project/tests/deploy/image"
        machine.run(*bud, "--file", f"{folder}/{name}.Dockerfile", "--tag", tag, folder)
    [facts] = json.loads(machine.run("podman", "image", "inspect", IMAGE).stdout)
    return Built(facts, seconds)


def _revision() -> str:
    asked = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, timeout=10, check=False
    )
    return asked.stdout.strip() or "unknown"
