"""compose.yaml really runs, by Docker's own Compose on Docker's own engine, as its head says; with images of ours."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.chart.helm import CHART, ROOT
from tests.deploy.image.building import IMAGE, PROMETHEUS, VALKEY
from tests.deploy.image.docker import engine
from tests.deploy.image.machine import FOLDER, Machine

pytestmark = pytest.mark.slow
PROJECT = "/var/tmp/deploy"  # noqa: S108  # the machine's own
COMPOSE = ("docker", "compose", "--file", f"{PROJECT}/compose.yaml")
UP = (*COMPOSE, "up", "--no-build", "--detach", "--wait", "--wait-timeout", "90")
PARTS = ("valkey", "api", "worker")
RESTART_SECONDS, SCRAPED_SECONDS = 30.0, 60.0


@pytest.fixture(scope="module")
def composed(containers: Machine) -> Iterator[Machine]:
    """Valkey, API and worker of compose.yaml, healthy, on secrets made for this."""
    copy = FOLDER / "machine" / PROJECT.lstrip("/")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(ROOT / "deploy", copy, ignore=shutil.ignore_patterns("secrets"))
    subprocess.run(["sh", str(copy / "make-secrets")], check=True, timeout=30, capture_output=True)
    (copy / ".env").write_text(f"BINDERY_IMAGE={IMAGE}\nVALKEY_IMAGE={VALKEY}\nPROMETHEUS_IMAGE={PROMETHEUS}\n")
    with engine(containers, IMAGE, VALKEY, PROMETHEUS) as running:
        try:
            running.run(*UP, timeout=120)
            yield running
        finally:
            running.run(*COMPOSE, "--profile", "monitoring", "down", "--volumes", "--timeout", "0", check=False)


def inspect(machine: Machine, service: str) -> dict[str, Any]:
    """What the engine knows of a service's container."""
    found = json.loads(machine.run("docker", "container", "inspect", f"bindery-{service}-1").stdout)
    assert isinstance(found[0], dict)
    return found[0]


def test_every_container_gets_healthy(composed: Machine) -> None:
    """By the health checks of the file, in the order that it asks for."""
    assert {inspect(composed, part)["State"]["Health"]["Status"] for part in PARTS} == {"healthy"}


def test_the_api_is_published_to_this_host_alone(composed: Machine) -> None:
    """It answers there, and nothing else is published."""
    ask = r"exec 3<>/dev/tcp/127.0.0.1/8080; printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3; head -1 <&3"
    assert composed.run("bash", "-c", ask).stdout.split()[1] == "200"
    published = {part: inspect(composed, part)["HostConfig"]["PortBindings"] for part in PARTS}
    assert published == {
        "valkey": {},
        "worker": {},
        "api": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]},
    }


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
    run = ["docker", "exec", "--interactive", *variables, "bindery-api-1", "/opt/bindery/bin/python", "-"]
    assert composed.run(*run, given=program).stdout.splitlines()[-1] == "PASSED"


def test_the_store_is_set_up_to_lose_nothing(composed: Machine) -> None:
    """`docker compose run --rm check` has nothing to find."""
    found = composed.run(*COMPOSE, "run", "--rm", "check").stdout
    assert {line.split()[0] for line in found.splitlines()} == {"ok"}, found


@pytest.mark.parametrize("part", PARTS)
def test_containers_run_restricted(composed: Machine, part: str) -> None:
    """Nobody is root, can write to a root, has a capability or a way to any, or may take all there is."""
    found = inspect(composed, part)
    host = found["HostConfig"]
    assert found["Config"]["User"] == ("999:999" if part == "valkey" else "10001:10001")
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["Privileged"]) == (True, ["ALL"], False)
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert min(host["Memory"], host["NanoCpus"], host["PidsLimit"]) > 0


def test_more_workers_are_a_word_away(composed: Machine) -> None:
    """`--scale worker=2` adds one, and leaves everything else as it is."""
    before = inspect(composed, "api")["Id"]
    composed.run(*COMPOSE, "up", "--no-build", "--detach", "--scale", "worker=2", timeout=120)
    names = composed.run(*COMPOSE, "ps", "--format", "{{.Name}} {{.State}}").stdout.split("\n")
    assert {"bindery-worker-1 running", "bindery-worker-2 running"} <= set(names)
    assert inspect(composed, "api")["Id"] == before


def test_prometheus_sees_all(composed: Machine) -> None:
    """The monitoring profile's Prometheus finds the API and both workers, takes what they show, and has the rules."""
    composed.run(*COMPOSE, "--profile", "monitoring", "up", "--no-build", "--detach", "prometheus", timeout=120)
    ask = (
        "import sys, urllib.request as r\n"
        "print(r.urlopen('http://prometheus:9090/api/v1/' + sys.argv[1], timeout=5).read().decode())\n"
    )
    program = ("docker", "exec", "bindery-api-1", "/opt/bindery/bin/python", "-c", ask)

    def told(path: str) -> Any:
        asked = composed.run(*program, path, check=False)
        # Prometheus may still be starting; and what a container's engine says of itself is no answer of it.
        return json.loads(asked.stdout).get("data") if asked.returncode == 0 else None

    end = time.monotonic() + SCRAPED_SECONDS
    while len((told("query?query=bindery_build_info") or {}).get("result", ())) != 3:
        assert time.monotonic() < end, composed.run(*COMPOSE, "logs", "prometheus").stdout[-3000:]
        time.sleep(0.5)
    groups = told("rules")["groups"]
    assert len([rule for group in groups for rule in group["rules"] if rule["type"] == "alerting"]) > 15


def test_what_was_registered_survives_a_kill_of_each(composed: Machine) -> None:
    """Each comes back by itself; Valkey with what it has answered, for its file is on a volume, written before that."""
    ask = (
        "import base64, json, os, sys, urllib.request as r\n"
        "token = open('/run/secrets/BINDERY_AUTH_TOKEN').read().strip()\n"
        "login = base64.b64encode(('AC00000000000000000000000000000001:' + token).encode()).decode()\n"
        "headers = {'Authorization': 'Basic ' + login, 'Content-Type': 'application/json', 'Prefer': 'wait=10'}\n"
        "url, body = 'http://127.0.0.1:8080' + sys.argv[1], sys.argv[2].encode() or None\n"
        "print(r.urlopen(r.Request(url, body, headers), timeout=15).read().decode())\n"
    )
    program = ("docker", "exec", "bindery-api-1", "/opt/bindery/bin/python", "-c", ask)
    registration = '{"identity": "zoe", "binding_type": "fcm", "address": "fcm:zoes-token-%s"}' % ("x" * 120)
    composed.run(*program, "/v1/registrations", registration)
    killed = {part: inspect(composed, part)["State"]["Pid"] for part in PARTS}
    composed.run("bash", "-c", f"kill -KILL {' '.join(map(str, killed.values()))}")
    end = time.monotonic() + RESTART_SECONDS
    while composed.run(*program, "/v1/identities/zoe/bindings", "", check=False).stdout.count("zoes-token") != 1:
        assert time.monotonic() < end, composed.run(*COMPOSE, "logs", "--tail", "20").stdout
        time.sleep(0.2)
    assert all(inspect(composed, part)["State"]["Pid"] not in {0, killed[part]} for part in PARTS)
