"""compose.yaml really runs: with podman's own compose, on images of ours."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.deploy.chart.helm import CHART, ROOT
from tests.deploy.image.building import IMAGE, VALKEY
from tests.deploy.image.machine import FOLDER, Machine

pytestmark = pytest.mark.slow
PROJECT = "/var/tmp/deploy"  # noqa: S108  # the machine's own
SERVICES = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
COMPOSE = ("podman-compose", "--file", f"{PROJECT}/compose.yaml")
HEALTHY_SECONDS = 60


@pytest.fixture(scope="module")
def composed(containers: Machine) -> Iterator[Machine]:
    """Valkey, API and worker of compose.yaml, on secrets made for this."""
    copy = FOLDER / "machine" / PROJECT.lstrip("/")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(ROOT / "deploy", copy, ignore=shutil.ignore_patterns("secrets"))
    subprocess.run(["sh", str(copy / "make-secrets")], check=True, timeout=30, capture_output=True)
    (copy / ".env").write_text(f"BINDERY_IMAGE={IMAGE}\nVALKEY_IMAGE={VALKEY}\n")
    try:
        containers.run(*COMPOSE, "up", "--detach", "--no-build", "valkey", timeout=HEALTHY_SECONDS)
        healthy(containers, "valkey")
        # Where no systemd runs podman never asks by itself; the API waits for what this makes known.
        containers.run("podman", "healthcheck", "run", "bindery_valkey_1")
        containers.run(*COMPOSE, "up", "--detach", "--no-build", "api", "worker", timeout=HEALTHY_SECONDS)
        healthy(containers, "api")
        yield containers
    finally:
        containers.run(*COMPOSE, "down", "--volumes", "--timeout", "0", check=False)


def healthy(containers: Machine, service: str) -> None:
    """Wait until a container's health check passes, asked as the file has it: podman's compose wants a shell for it."""
    kind, *command = SERVICES[service]["healthcheck"]["test"]
    words = command if kind == "CMD" else ["sh", "-c", *command]
    asked = ["podman", "exec", f"bindery_{service}_1", *(word.replace("$$", "$") for word in words)]
    end = time.monotonic() + HEALTHY_SECONDS
    while containers.run(*asked, check=False).returncode != 0:
        assert time.monotonic() < end, containers.run("podman", "logs", f"bindery_{service}_1").stderr
        time.sleep(0.2)


def test_a_registration_is_applied(composed: Machine) -> None:
    """The chart's smoke test, run inside the API's container, passes against it."""
    token = Path(FOLDER / "machine" / PROJECT.lstrip("/") / "secrets" / "BINDERY_AUTH_TOKEN").read_text().strip()
    given = {
        "SMOKE_URL": "http://127.0.0.1:8080",
        "SMOKE_ACCOUNT": "AC00000000000000000000000000000001",
        "SMOKE_TOKEN": token,
    }
    variables = [word for name, value in given.items() for word in ("--env", f"{name}={value}")]
    program = (CHART / "files" / "smoke.py").read_text()
    run = ["podman", "exec", "--interactive", *variables, "bindery_api_1", "/opt/bindery/bin/python", "-"]
    assert composed.run(*run, given=program).stdout.splitlines()[-1] == "PASSED"


def test_the_store_is_set_up_to_lose_nothing(composed: Machine) -> None:
    """`bindery check` in its container has nothing to find."""
    found = composed.run("podman", "exec", "bindery_worker_1", "bindery", "check").stdout
    assert {line.split()[0] for line in found.splitlines()} == {"ok"}, found


def test_containers_run_restricted(composed: Machine) -> None:
    """Nobody is root, nobody can write to a root, nobody has a capability."""
    form = "{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.EffectiveCaps}}"
    names = ("bindery_api_1", "bindery_worker_1", "bindery_valkey_1")
    said = composed.run("podman", "container", "inspect", "--format", form, *names).stdout.splitlines()
    assert said == ["10001:10001 true []", "10001:10001 true []", "999:999 true []"]


def test_what_was_registered_survives_everything(composed: Machine) -> None:
    """Valkey killed and started again has what it answered: its file is on a volume, written before the answer."""
    ask = (
        "import base64, json, os, sys, urllib.request as r\n"
        "token = open('/run/secrets/BINDERY_AUTH_TOKEN').read().strip()\n"
        "login = base64.b64encode(('AC00000000000000000000000000000001:' + token).encode()).decode()\n"
        "headers = {'Authorization': 'Basic ' + login, 'Content-Type': 'application/json', 'Prefer': 'wait=10'}\n"
        "url, body = 'http://127.0.0.1:8080' + sys.argv[1], sys.argv[2].encode() or None\n"
        "print(r.urlopen(r.Request(url, body, headers), timeout=15).read().decode())\n"
    )
    program = ("podman", "exec", "bindery_api_1", "/opt/bindery/bin/python", "-c", ask)
    registration = '{"identity": "zoe", "binding_type": "fcm", "address": "fcm:zoes-token-%s"}' % ("x" * 120)
    composed.run(*program, "/v1/registrations", registration)
    composed.run("podman", "kill", "bindery_valkey_1")
    composed.run("podman", "start", "bindery_valkey_1")
    healthy(composed, "valkey")
    healthy(composed, "api")
    found = composed.run(*program, "/v1/identities/zoe/bindings", "").stdout
    assert "zoes-token" in found
